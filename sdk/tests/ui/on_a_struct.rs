use gristmill_sdk::filter;

#[filter]
#[derive(Default)]
struct Keep {
    _count: u32,
}

fn main() {}
