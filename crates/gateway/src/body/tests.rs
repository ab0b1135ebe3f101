use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::*;

const LIMITS: Limits = Limits {
    max: 1000,
    idle: Duration::from_secs(5),
};

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn bare(plain: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

async fn decoded(encodings: &[&str], body: Vec<u8>) -> Result<Bytes, Undecoded> {
    let mut headers = HeaderMap::new();
    for encoding in encodings {
        headers.append(CONTENT_ENCODING, encoding.parse().unwrap());
    }
    let result = decode(&mut headers, body.into(), LIMITS.max).await;
    assert_eq!(
        headers.contains_key(CONTENT_ENCODING),
        result.is_err() && !encodings.is_empty()
    );
    result
}

#[tokio::test]
async fn every_understood_encoding_gives_the_same_body() {
    let plain = b"{\"Name\":\"Ada\"}";
    for (encodings, body) in [
        (&[][..], plain.to_vec()),
        (&["identity"], plain.to_vec()),
        (&["gzip"], gzip(plain)),
        (&["X-GZIP"], gzip(plain)),
        (&["deflate"], zlib(plain)),
        (&["Deflate"], bare(plain)),
    ] {
        assert_eq!(
            decoded(encodings, body).await.unwrap(),
            plain.as_slice(),
            "{encodings:?}"
        );
    }
    assert_eq!(decoded(&["gzip"], Vec::new()).await.unwrap(), Bytes::new());
}

#[tokio::test]
async fn a_bomb_is_too_large() {
    for (encoding, body) in [
        ("gzip", gzip(&vec![0; 10 << 20])),
        ("deflate", zlib(&vec![0; 10 << 20])),
        ("deflate", bare(&vec![0; 10 << 20])),
    ] {
        assert_eq!(decoded(&[encoding], body).await, Err(Undecoded::TooLarge));
    }
    assert!(decoded(&["gzip"], gzip(&[0; 1000])).await.is_ok());
}

#[tokio::test]
async fn what_two_readers_could_read_differently_is_refused() {
    let twice = [gzip(b"{}"), gzip(b"{\"Name\":\"Eve\"}")].concat();
    let trailing = [gzip(b"{}"), b"{\"Name\":\"Eve\"}".to_vec()].concat();
    let cut = gzip(b"{\"Name\":\"Ada\"}")[..15].to_vec();
    for (encodings, body) in [
        (&["gzip"][..], twice),
        (&["gzip"], trailing),
        (&["gzip"], cut),
        (&["gzip"], b"{\"Name\":\"Ada\"}".to_vec()),
        (&["deflate"], b"{\"Name\":\"Ada\"}".to_vec()),
        (&["gzip", "gzip"], gzip(&gzip(b"{}"))),
        (&["gzip, gzip"], gzip(&gzip(b"{}"))),
        (&["br"], b"x".to_vec()),
        (&["zstd"], b"x".to_vec()),
    ] {
        let result = decoded(encodings, body).await;
        assert!(
            matches!(result, Err(Undecoded::Malformed(_))),
            "{encodings:?}: {result:?}"
        );
    }
}

fn chunks(pieces: Vec<Result<&'static [u8], &'static str>>) -> Incoming {
    let items = pieces
        .into_iter()
        .map(|piece| piece.map(Bytes::from_static));
    Incoming::from_stream(futures::stream::iter(
        items.map(|item| item.map_err(std::io::Error::other)),
    ))
}

#[tokio::test]
async fn a_body_is_read_whole() {
    let body = chunks(vec![Ok(b"ab"), Ok(b""), Ok(b"cd")]);
    assert_eq!(read(body, LIMITS).await.unwrap(), "abcd");
    assert_eq!(read(Incoming::empty(), LIMITS).await.unwrap(), "");
    assert_eq!(read(Incoming::from("ab"), LIMITS).await.unwrap(), "ab");
}

#[tokio::test]
async fn a_body_over_the_limit_can_still_be_passed_whole() {
    const PIECE: &[u8] = &[b'x'; 400];
    for body in [chunks(vec![Ok(PIECE); 4]), Incoming::from(vec![b'x'; 1600])] {
        let Err(Unread::TooLarge(rest)) = read(body, LIMITS).await else {
            panic!("the limit was not seen");
        };
        assert_eq!(rest.collect(9999).await.unwrap().len(), 1600);
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_body() {
    let result = read(chunks(vec![Ok(b"ab"), Err("gone")]), LIMITS).await;
    assert!(matches!(result, Err(Unread::Broken(_))), "{result:?}");
    let flowing = flowing(chunks(vec![Ok(b"ab"), Err("gone")]), LIMITS.idle);
    assert!(flowing.collect(9999).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_or_stands_still_is_given_up() {
    let drip = |every: u64| {
        let ticks = futures::stream::repeat(()).then(move |()| async move {
            tokio::time::sleep(Duration::from_secs(every)).await;
            Ok::<_, std::io::Error>(Bytes::from_static(b"x"))
        });
        Incoming::from_stream(ticks)
    };
    for every in [1, 4, 100] {
        let began = Instant::now();
        let result = read(drip(every), LIMITS).await;
        assert!(matches!(result, Err(Unread::Broken(_))), "{result:?}");
        assert!(
            began.elapsed() <= Duration::from_secs(6),
            "{:?}",
            began.elapsed()
        );
    }
    assert!(flowing(drip(100), LIMITS.idle).collect(9999).await.is_err());
}

/// Whatever comes: no panic, never more than the limit, and what we compressed comes back.
#[test]
fn decoding_survives_everything() {
    bolero::check!()
        .with_iterations(2000)
        .for_each(|input: &[u8]| {
            for encoding in [Encoding::Gzip, Encoding::Deflate] {
                if let Ok(decoded) = inflate(encoding, input, 100) {
                    assert!(decoded.len() <= 100);
                }
            }
            let limit = input.len();
            for (encoding, body) in [
                (Encoding::Gzip, gzip(input)),
                (Encoding::Deflate, zlib(input)),
            ] {
                assert_eq!(inflate(encoding, &body, limit).unwrap(), input);
                if let Some(limit) = limit.checked_sub(1) {
                    assert_eq!(inflate(encoding, &body, limit), Err(Undecoded::TooLarge));
                }
            }
        });
}
