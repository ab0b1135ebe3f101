use std::io::Read as _;

use crmgate_testkit::TestAmbient;
use flate2::read::GzDecoder;

use super::*;

struct Folder {
    dir: tempfile::TempDir,
    ambient: Arc<TestAmbient>,
}

impl Folder {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            ambient: Arc::new(TestAmbient::default()),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("log/decisions.ndjson")
    }

    fn settings(&self) -> FileSettings {
        FileSettings {
            path: self.path(),
            rotate_size: 100,
            rotate_age: Duration::from_secs(3600),
            gzip: true,
            keep: None,
        }
    }

    fn sink(&self, settings: FileSettings) -> FileSink {
        FileSink::new(settings, Arc::<TestAmbient>::clone(&self.ambient))
    }

    /// All lines, the full files' first.
    fn lines(&self) -> Vec<String> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.path().parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        // `decisions-2026…` sorts before `decisions.ndjson`.
        files.sort();
        let mut text = String::new();
        for file in files {
            let bytes = fs::read(&file).unwrap();
            if file.extension().unwrap() == "gz" {
                GzDecoder::new(bytes.as_slice())
                    .read_to_string(&mut text)
                    .unwrap();
            } else {
                text.push_str(std::str::from_utf8(&bytes).unwrap());
            }
        }
        text.lines().map(str::to_owned).collect()
    }
}

fn events(from: usize, to: usize) -> Vec<Vec<u8>> {
    (from..to)
        .map(|n| format!("{{\"n\":{n:020}}}").into_bytes())
        .collect()
}

async fn give(sink: &mut FileSink, events: &[Vec<u8>]) {
    let mut taken = 0;
    while taken < events.len() {
        taken += sink.take(&events[taken..]).await.unwrap();
    }
}

fn expected(to: usize) -> Vec<String> {
    let events = events(0, to).into_iter();
    events
        .map(|event| String::from_utf8(event).unwrap())
        .collect()
}

#[tokio::test]
async fn full_files_are_put_away_in_order_and_nothing_is_lost() {
    let folder = Folder::new();
    let mut sink = folder.sink(folder.settings());
    for n in 0..20 {
        give(&mut sink, &events(n * 2, n * 2 + 2)).await;
        if n % 3 == 0 {
            sink.idle().await;
        }
    }
    sink.idle().await;
    give(&mut sink, &events(40, 41)).await;
    assert_eq!(folder.lines(), expected(41));
    let full = sink.full_files().unwrap();
    assert!(full.len() >= 8, "{full:?}");
    assert!(
        full.iter().all(|file| file.extension().unwrap() == "gz"),
        "{full:?}"
    );
    let open = fs::metadata(folder.path());
    assert!(open.is_ok_and(|open| open.len() <= 100));
}

#[tokio::test]
async fn a_file_that_is_old_is_put_away_too_and_only_so_many_are_kept() {
    let folder = Folder::new();
    let settings = FileSettings {
        rotate_size: 1 << 20,
        keep: Some(2),
        gzip: false,
        ..folder.settings()
    };
    let mut sink = folder.sink(settings);
    for n in 0..5 {
        give(&mut sink, &events(n, n + 1)).await;
        sink.idle().await;
        folder.ambient.advance(Duration::from_secs(3601));
    }
    give(&mut sink, &events(5, 6)).await;
    sink.idle().await;
    assert_eq!(folder.lines(), expected(6)[3..]);
}

#[tokio::test]
async fn half_a_line_of_a_crash_is_cut_off_and_the_rest_goes_on() {
    let folder = Folder::new();
    let settings = FileSettings {
        rotate_size: 1 << 20,
        ..folder.settings()
    };
    give(&mut folder.sink(settings.clone()), &events(0, 3)).await;
    let mut file = OpenOptions::new().append(true).open(folder.path()).unwrap();
    file.write_all(&vec![b'x'; 10_000]).unwrap();
    drop(file);
    give(&mut folder.sink(settings), &events(3, 5)).await;
    assert_eq!(folder.lines(), expected(5));
}

#[tokio::test]
async fn what_cannot_be_written_is_told_and_taken_once_it_can() {
    let folder = Folder::new();
    let mut sink = folder.sink(folder.settings());
    let log = folder.path().parent().unwrap().to_owned();
    fs::write(&log, "in the way").unwrap();
    let error = sink.take(&events(0, 1)).await.unwrap_err();
    assert!(error.message.contains("decisions.ndjson"), "{error}");
    fs::remove_file(&log).unwrap();
    give(&mut sink, &events(0, 2)).await;
    assert_eq!(folder.lines(), expected(2));
}

/// A device on which nothing fits.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_takes_nothing_and_says_so() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path().parent().unwrap()).unwrap();
    if std::os::unix::fs::symlink("/dev/full", folder.path()).is_err() {
        return;
    }
    let mut sink = folder.sink(folder.settings());
    sink.take(&events(0, 1)).await.unwrap_err();
    fs::remove_file(folder.path()).unwrap();
    give(&mut sink, &events(0, 2)).await;
    assert_eq!(folder.lines(), expected(2));
}

#[tokio::test]
async fn a_file_that_was_moved_away_or_deleted_is_made_anew() {
    let folder = Folder::new();
    let settings = FileSettings {
        rotate_size: 1 << 20,
        ..folder.settings()
    };
    let mut sink = folder.sink(settings);
    give(&mut sink, &events(0, 2)).await;
    let aside = folder.dir.path().join("aside");
    fs::rename(folder.path(), &aside).unwrap();
    give(&mut sink, &events(2, 4)).await;
    assert_eq!(folder.lines(), expected(4)[2..]);
    fs::remove_file(folder.path()).unwrap();
    give(&mut sink, &events(4, 5)).await;
    assert_eq!(folder.lines(), expected(5)[4..]);
    assert_eq!(fs::read_to_string(aside).unwrap().lines().count(), 2);
}

#[tokio::test]
async fn a_sink_that_has_taken_nothing_has_nothing_to_put_away() {
    let folder = Folder::new();
    let mut sink = folder.sink(folder.settings());
    sink.idle().await;
    assert_eq!(sink.told, None);
    fs::write(folder.path().parent().unwrap(), "in the way").unwrap();
    sink.untidy = true;
    sink.idle().await;
    assert!(sink.told.is_some());
}

#[cfg(unix)]
#[tokio::test]
async fn others_read_neither_the_file_nor_the_full_ones() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let mut sink = folder.sink(folder.settings());
    give(&mut sink, &events(0, 9)).await;
    sink.idle().await;
    let files = fs::read_dir(folder.path().parent().unwrap()).unwrap();
    for file in files.map(Result::unwrap) {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o007, 0, "{}", file.path().display());
    }
}
