//! What the plugins `encrypt` and `decrypt` have in common: keys, which fields are meant, what is bound to a
//! message, and how what is sealed is written.
//!
//! The cipher is XChaCha20-Poly1305 under the configured key itself, so that any library opens what is sealed. A nonce is not drawn but
//! derived: HMAC-SHA-256, under a key of its own, of the message's id, the number of the value in it, what is bound and the plaintext.
//! Two plaintexts never meet one nonce, whatever ids there are, and no chance is needed; the same message sealed again, in
//! another attempt, becomes the same bytes, and that is all that can be told from them.

mod bind;
mod fields;
mod key;
mod sealed;

pub use bind::{Bind, Bound};
pub use fields::Fields;
pub use key::{Key, Keyring};
pub use sealed::{Format, Sealed};
