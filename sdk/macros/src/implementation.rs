//! `#[filter]` and `#[publisher]` on an `impl` block.

use crate::Kind;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Ident, ItemImpl};

/// What exports the plugin that `block` implements; what is inside the block the compiler checks against the trait.
pub(crate) fn glue(kind: Kind, block: &ItemImpl) -> syn::Result<TokenStream> {
    let name = trait_name(kind, block)?;
    if !kind.traits().iter().any(|known| name == known) {
        return Err(Error::new_spanned(name, misplaced(kind, name)));
    }
    if let Some(parameter) = block.generics.params.first() {
        return Err(Error::new_spanned(parameter, "a plugin has no generic parameters"));
    }
    let plugin = &block.self_ty;
    Ok(match kind {
        Kind::Filter => quote! { const _: () = { ::gristmill_sdk::__export_filter!(#plugin); }; },
        Kind::Publisher if name == "BatchPublisher" => {
            quote! { const _: () = { ::gristmill_sdk::__export_batch_publisher!(#plugin); }; }
        }
        Kind::Publisher => {
            quote! { const _: () = { ::gristmill_sdk::__export_publisher!(#plugin); }; }
        }
    })
}

/// The last word of the trait's path, so that `gristmill_sdk::Filter` does as well as `Filter`.
fn trait_name(kind: Kind, block: &ItemImpl) -> syn::Result<&Ident> {
    let path = block.trait_.as_ref().map(|(path, _)| path);
    let name = path.and_then(|path| path.segments.last()).map(|segment| &segment.ident);
    name.ok_or_else(|| Error::new_spanned(&block.self_ty, kind.place()))
}

fn misplaced(kind: Kind, name: &Ident) -> String {
    let right =
        [Kind::Filter, Kind::Publisher].into_iter().find(|other| other.traits().iter().any(|known| name == known));
    match right {
        Some(right) => format!("this is an `impl {name}`: write `#[{}]`", right.attribute()),
        None => kind.place().to_owned(),
    }
}
