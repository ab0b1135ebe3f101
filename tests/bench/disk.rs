//! What the disk itself costs.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use crate::load::median;

/// The median time of a 4 KiB append made durable.
pub(crate) fn fdatasync_p50_ms(dir: &Path) -> f64 {
    let mut file = File::create(dir.join("sync")).unwrap();
    let times = (0..500).map(|_| {
        file.write_all(&[7; 4096]).unwrap();
        let started = Instant::now();
        file.sync_data().unwrap();
        started.elapsed().as_secs_f64() * 1e3
    });
    median(times.collect())
}
