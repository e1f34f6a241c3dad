//! What the documents promise: commands, pages and `make install`, typed as they stand there.

mod documents;
mod install;
mod namespace_page;
mod pages;
