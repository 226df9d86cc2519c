//! Whether operations cost the same however large the table is.
