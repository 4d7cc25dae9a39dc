//! `cargo xtask bench`: what the benchmark needs, then the benchmark, which builds the release host itself.

use crate::{
    command::{Trouble, cargo, run},
    guests,
    places::Places,
    setup,
};

pub(crate) fn run_all(places: &Places, arguments: &[String]) -> Result<(), Trouble> {
    setup::run_all()?;
    guests::plugins(places, None)?;
    run(&mut cargo(places, &["build", "--release", "--package", "gristmill"]))?;
    run(cargo(places, &["bench", "--package", "gristmill-tests", "--bench", "job", "--"]).args(arguments))
}
