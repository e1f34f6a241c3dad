//! `vmnet attach` and `detach`: network namespaces that get an interface.

mod by_root;
mod by_user;
mod killed;
mod stay;
