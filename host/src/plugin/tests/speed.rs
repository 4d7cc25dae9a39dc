//! How long a call takes; run it by name with `--ignored --nocapture`.

use super::{Bench, guests, message};
use std::time::Instant;

const CALLS: u32 = 500_000;

#[tokio::test]
#[ignore = "measures, proves nothing"]
async fn the_time_of_a_pass() {
    let version = Bench::new().load(&guests::pass("")).await.unwrap();
    for size in [100, 1_024, 16_384] {
        let message = message(&"x".repeat(size));
        let mut lent = version.lend().await.unwrap();
        let start = Instant::now();
        for _ in 0..CALLS {
            lent.filter(&message).await.unwrap();
        }
        let kept = start.elapsed() / CALLS;
        drop(lent);
        let start = Instant::now();
        for _ in 0..CALLS {
            version
                .lend()
                .await
                .unwrap()
                .filter(&message)
                .await
                .unwrap();
        }
        println!(
            "{size} bytes: {kept:?} a call, {:?} with a loan for each",
            start.elapsed() / CALLS
        );
    }
}
