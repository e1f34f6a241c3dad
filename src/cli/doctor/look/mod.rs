//! The gatherers, one for each group.
//!
//! | file | looks at |
//! |---|---|
//! | [`firewall`] | the host's other firewalls |
//! | [`helper`] | the helper's file |
//! | [`kernel`] | features and programs |
//! | [`managers`] | NetworkManager and networkd |
//! | [`names`] | the host's resolver |
//! | [`ports53`] | holders of the ports of DNS and DHCP |
//! | [`rules`] | the access rules |
//! | [`subjects`] | the networks themselves |
//! | [`subnets`] | routes and addresses |
//! | [`switches`] | the networks' VDE switches |
//! | [`taps`] | TAPs and bridges |

pub mod firewall;
pub mod helper;
pub mod kernel;
pub mod managers;
pub mod names;
pub mod ports53;
pub mod rules;
pub mod subjects;
pub mod subnets;
pub mod switches;
pub mod taps;
