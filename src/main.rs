//! The `waxwing` program: arguments in, server or client command out.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    waxwing::cli::main()
}
