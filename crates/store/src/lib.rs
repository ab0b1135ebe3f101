//! The storage traits, the permit and the recorder.
