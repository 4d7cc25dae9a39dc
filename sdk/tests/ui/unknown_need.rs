gristmill_sdk::needs!("http api.example.com", "telepathy");

fn main() {}
