//! `#[filter]` on a function.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Error, FnArg, ItemFn, ReturnType, Safety, Signature, Type, spanned::Spanned};

/// A plugin without a config that calls `function`.
///
/// The argument's and the result's types are left to the compiler, which knows aliases: each goes through a trait of the SDK
/// that only the right type implements, at the span of the type as the author wrote it.
pub(crate) fn glue(function: &ItemFn) -> syn::Result<TokenStream> {
    let name = &function.sig.ident;
    let (argument, result) = types(&function.sig)?;
    let take = quote_spanned! { argument.span() => <#argument as ::gristmill_sdk::glue::FilterArgument>::of(message) };
    let judge = quote_spanned! { result.span() => <#result as ::gristmill_sdk::glue::FilterResult>::verdict };
    Ok(quote! {
        const _: () = {
            struct Plugin;

            impl ::gristmill_sdk::Filter for Plugin {
                type Config = ::gristmill_sdk::NoConfig;

                fn new(_: ::gristmill_sdk::NoConfig) -> ::gristmill_sdk::Result<Self> {
                    ::core::result::Result::Ok(Plugin)
                }

                fn filter(&mut self, message: ::gristmill_sdk::Message) -> ::gristmill_sdk::Result<::gristmill_sdk::Verdict> {
                    #judge(#name(#take))
                }
            }

            ::gristmill_sdk::__export_filter!(Plugin);
        };
    })
}

/// The types of the one argument and of the result, if the function has the shape of a filter.
fn types(signature: &Signature) -> syn::Result<(&Type, &Type)> {
    if let Some(word) = &signature.asyncness {
        return Err(Error::new(word.span, "a filter is not `async`: it has nothing to wait for"));
    }
    if let Safety::Unsafe(word) = &signature.safety {
        return Err(Error::new(word.span, "a filter is not `unsafe`"));
    }
    if let Some(parameter) = signature.generics.params.first() {
        return Err(Error::new_spanned(parameter, "a filter has no generic parameters"));
    }
    Ok((argument(signature)?, result(signature)?))
}

fn argument(signature: &Signature) -> syn::Result<&Type> {
    let mut arguments = signature.inputs.iter();
    let wrong = match (arguments.next(), arguments.next()) {
        (Some(FnArg::Typed(argument)), None) => return Ok(&argument.ty),
        (Some(FnArg::Receiver(receiver)), _) => {
            Error::new_spanned(receiver, "a filter with state is an `impl Filter for …`")
        }
        (_, Some(second)) => Error::new_spanned(second, "a filter takes one argument, the `Message`"),
        (None, None) => Error::new_spanned(&signature.ident, "a filter takes one argument, the `Message`"),
    };
    Err(wrong)
}

fn result(signature: &Signature) -> syn::Result<&Type> {
    match &signature.output {
        ReturnType::Type(_, result) => Ok(result),
        ReturnType::Default => Err(Error::new_spanned(&signature.ident, "a filter returns `Result<Verdict>`")),
    }
}
