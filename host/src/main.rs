//! The `gristmill` binary.

fn main() -> std::process::ExitCode {
    gristmill::cli::main()
}
