//! The flow of one reset: what travels sealed, and what its bits mean.
//!
//! A flow itself is a record in the store, where its tries, marks and outcomes are counted. The handle that a client carries names the
//! record and holds its secret; nothing in it changes, so an old handle rewinds nothing. No record, no flow: an emptied store, a flow that
//! has ended and a forged handle are one case, and no clock is compared.

mod carrier;
mod key_ring;
mod login;
mod seal;
mod stage;

pub use carrier::{COOKIE, HEADER, Sent, cookies, give, handles, set_cookie, take_away};
pub use key_ring::{KeyRing, Named, Purpose, Secrets};
pub use login::{MAX_LOGIN, Spelling, Unspellable, fits, trimmed};
pub use seal::{Handle, Seals, Token};
pub use stage::Stage;
