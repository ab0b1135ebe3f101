//! Rebuilds when the packs change that the demo comes with: their files are compiled in, and new
//! ones would not be noticed.

fn main() {
    println!("cargo::rerun-if-changed=../../policies");
}
