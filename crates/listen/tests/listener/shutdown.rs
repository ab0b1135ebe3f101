//! Ending well.

use std::time::Duration;

use crmgate_listen::{Report, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{ANY, KEEP, connect, read_answer, serve};

const SLOW: &str = "GET /slow HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn a_request_under_way_ends_and_nothing_new_begins() {
    let served = serve(Settings::plain(ANY)).await;
    let addr = served.addr;
    let mut unused = connect(addr).await;
    unused.write_all(KEEP.as_bytes()).await.unwrap();
    read_answer(&mut unused).await;
    let mut slow = connect(addr).await;
    slow.write_all(SLOW.as_bytes()).await.unwrap();
    served.begun.notified().await;

    let go_on = served.go_on.clone();
    let stopping = served.begin_stop();
    // The unused connection is closed at once, and no new one is taken.
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(2), unused.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(addr).await.is_err());
    assert!(!stopping.is_finished());

    go_on.notify_one();
    assert!(read_answer(&mut slow).await.ends_with("slow but whole"));
    assert_eq!(stopping.await.unwrap().unwrap(), Report { cut: 0 });
}

#[tokio::test]
async fn what_takes_longer_than_the_grace_is_cut_and_counted() {
    let mut settings = Settings::plain(ANY);
    settings.shutdown_grace = Duration::from_millis(100);
    let served = serve(settings).await;
    let mut slow = connect(served.addr).await;
    slow.write_all(SLOW.as_bytes()).await.unwrap();
    served.begun.notified().await;
    assert_eq!(served.stop().await, Report { cut: 1 });
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).await.ok();
    assert!(rest.is_empty());
}
