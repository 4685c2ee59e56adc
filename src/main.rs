//! The `waxwing` program: arguments in, server or client command out.

fn main() -> std::process::ExitCode {
    waxwing::cli::main()
}
