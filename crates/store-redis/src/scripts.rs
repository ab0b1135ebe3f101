//! The scripts that change what is stored.

use std::sync::LazyLock;

use redis::Script;

macro_rules! script {
    ($name:ident, $file:literal) => {
        pub(crate) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!(
                include_str!("lua/common.lua"),
                include_str!(concat!("lua/", $file))
            ))
        });
    };
}

script!(PUSH, "push.lua");
script!(CLAIM, "claim.lua");
script!(RENEW, "renew.lua");
script!(SETTLE, "settle.lua");
script!(REAP, "reap.lua");
script!(DEPTH, "depth.lua");
script!(DEAD, "dead.lua");
script!(REMOVE, "remove.lua");

/// Changes a cell.
pub(crate) static SWAP: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("lua/swap.lua")));
