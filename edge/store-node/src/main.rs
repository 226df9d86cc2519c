//! `evenstock-store-node`: a shop's own copy of the stock.

fn main() -> std::process::ExitCode {
    evenstock_store_node::run()
}
