//! The store node, built beside the tests so that they find it.

fn main() -> std::process::ExitCode {
    evenstock_store_node::run()
}
