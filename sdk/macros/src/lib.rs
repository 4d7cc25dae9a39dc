//! `#[filter]` and `#[publisher]`: what turns a function or an `impl` into a plugin, with one error where it cannot.

mod function;
mod implementation;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Error, Item};

/// Which kind of plugin an attribute makes.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Filter,
    Publisher,
}

/// Makes a filter out of a `fn(Message) -> Result<Verdict>` or an `impl Filter for …`.
#[proc_macro_attribute]
pub fn filter(arguments: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand(Kind::Filter, arguments.into(), item.into()).into()
}

/// Makes a publisher out of an `impl Publisher for …` or an `impl BatchPublisher for …`.
#[proc_macro_attribute]
pub fn publisher(arguments: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand(Kind::Publisher, arguments.into(), item.into()).into()
}

/// The author's item as it is, and beside it the glue or the one error; the item stays so that nothing else fails to find it.
fn expand(kind: Kind, arguments: TokenStream, item: TokenStream) -> TokenStream {
    let glue = glue(kind, &arguments, item.clone()).unwrap_or_else(Error::into_compile_error);
    quote! { #item #glue }
}

fn glue(kind: Kind, arguments: &TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    if !arguments.is_empty() {
        let text = format!("`#[{}]` takes no arguments; settings belong in the plugin's `Config`", kind.attribute());
        return Err(Error::new_spanned(arguments, text));
    }
    match (kind, syn::parse2(item)?) {
        (Kind::Filter, Item::Fn(function)) => function::glue(&function),
        (kind, Item::Impl(block)) => implementation::glue(kind, &block),
        (kind, other) => Err(Error::new_spanned(head(&other), kind.place())),
    }
}

/// What an error about the whole item points at: its name where it has one, so that one line is marked.
fn head(item: &Item) -> TokenStream {
    match item {
        Item::Fn(item) => item.sig.ident.to_token_stream(),
        Item::Struct(item) => item.ident.to_token_stream(),
        Item::Enum(item) => item.ident.to_token_stream(),
        Item::Trait(item) => item.ident.to_token_stream(),
        Item::Mod(item) => item.ident.to_token_stream(),
        other => other.to_token_stream(),
    }
}

impl Kind {
    fn attribute(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Publisher => "publisher",
        }
    }

    /// The traits that a plugin of this kind can have.
    fn traits(self) -> &'static [&'static str] {
        match self {
            Self::Filter => &["Filter"],
            Self::Publisher => &["Publisher", "BatchPublisher"],
        }
    }

    /// Where the attribute may stand.
    fn place(self) -> &'static str {
        match self {
            Self::Filter => "`#[filter]` goes on a `fn(Message) -> Result<Verdict>` or on an `impl Filter for …`",
            Self::Publisher => "`#[publisher]` goes on an `impl Publisher for …` or an `impl BatchPublisher for …`",
        }
    }
}
