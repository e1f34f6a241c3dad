//! What packets may do: between guests, hosts and networks, and beside other people's firewalls.

mod beside_others;
mod docker;
mod guard;
mod isolation;
mod limits;
mod links;
mod traffic;
