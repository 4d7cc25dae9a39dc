//! What the attributes expand to: not for authors, and not covered by any promise.

use crate::{Message, Result, Verdict};

/// The type of a filter function's argument.
#[diagnostic::on_unimplemented(message = "a filter takes a `Message`, not `{Self}`", label = "write `Message`")]
pub trait FilterArgument {
    /// The argument for this message.
    fn of(message: Message) -> Self;
}

impl FilterArgument for Message {
    fn of(message: Message) -> Self {
        message
    }
}

/// The type of a filter function's result.
#[diagnostic::on_unimplemented(
    message = "a filter returns `Result<Verdict>`, not `{Self}`",
    label = "write `Result<Verdict>`"
)]
pub trait FilterResult {
    /// What it says.
    ///
    /// # Errors
    /// As the filter says.
    fn verdict(self) -> Result<Verdict>;
}

impl FilterResult for Result<Verdict> {
    fn verdict(self) -> Result<Verdict> {
        self
    }
}

/// Exports a type that implements `Filter`. Natively nothing is exported, but what the plugin consists of counts as used.
#[doc(hidden)]
#[macro_export]
#[cfg(not(target_family = "wasm"))]
macro_rules! __export_filter {
    ($plugin:ty) => {
        const _: fn(<$plugin as $crate::Filter>::Config) -> $crate::Result<$plugin> = <$plugin as $crate::Filter>::new;
    };
}

/// Exports a type that implements `Publisher`. Natively nothing is exported, but what the plugin consists of counts as used.
#[doc(hidden)]
#[macro_export]
#[cfg(not(target_family = "wasm"))]
macro_rules! __export_publisher {
    ($plugin:ty) => {
        const _: fn(<$plugin as $crate::Publisher>::Config) -> $crate::Result<$plugin> =
            <$plugin as $crate::Publisher>::new;
    };
}

/// Exports a type that implements `BatchPublisher`. Natively nothing is exported, but what the plugin consists of counts as used.
#[doc(hidden)]
#[macro_export]
#[cfg(not(target_family = "wasm"))]
macro_rules! __export_batch_publisher {
    ($plugin:ty) => {
        const _: fn(<$plugin as $crate::BatchPublisher>::Config) -> $crate::Result<$plugin> =
            <$plugin as $crate::BatchPublisher>::new;
    };
}

/// Exports a type that implements `Filter`.
#[doc(hidden)]
#[macro_export]
#[cfg(target_family = "wasm")]
macro_rules! __export_filter {
    ($plugin:ty) => {
        $crate::__export_setup!($plugin, $crate::Filter);

        impl $crate::bindings::Filtering for Component {
            fn filter(payload: ::std::vec::Vec<u8>) -> $crate::Result<$crate::component::wire::Verdict, $crate::component::wire::Fault> {
                $crate::component::filter(&PLUGIN, payload)
            }
        }

        $crate::bindings::filtering::export_filtering!(Component with_types_in $crate::bindings::filtering);
    };
}

/// Exports a type that implements `Publisher`.
#[doc(hidden)]
#[macro_export]
#[cfg(target_family = "wasm")]
macro_rules! __export_publisher {
    ($plugin:ty) => {
        $crate::__export_setup!($plugin, $crate::Publisher);

        impl $crate::bindings::Publishing for Component {
            fn publish(payload: ::std::vec::Vec<u8>) -> $crate::component::Asked {
                $crate::component::publish(&PLUGIN, payload)
            }

            fn answered(payload: ::std::vec::Vec<u8>, replies: ::std::vec::Vec<$crate::component::wire::Reply>) -> $crate::component::Asked {
                $crate::component::answered(&PLUGIN, payload, replies)
            }
        }

        $crate::bindings::publishing::export_publishing!(Component with_types_in $crate::bindings::publishing);
    };
}

/// Exports a type that implements `BatchPublisher`.
#[doc(hidden)]
#[macro_export]
#[cfg(target_family = "wasm")]
macro_rules! __export_batch_publisher {
    ($plugin:ty) => {
        $crate::__export_setup!($plugin, $crate::BatchPublisher);

        impl $crate::bindings::Batching for Component {
            fn publish_batch(messages: ::std::vec::Vec<$crate::component::wire::BatchedMessage>) -> $crate::component::Planned {
                $crate::component::publish_batch(&PLUGIN, messages)
            }

            fn answered_batch(
                messages: ::std::vec::Vec<$crate::component::wire::BatchedMessage>,
                replies: ::std::vec::Vec<$crate::component::wire::BatchedReply>,
            ) -> $crate::component::Planned {
                $crate::component::answered_batch(&PLUGIN, messages, replies)
            }
        }

        $crate::bindings::batching::export_batching!(Component with_types_in $crate::bindings::batching);
    };
}

/// Gives the instance its slot and exports `init`.
#[doc(hidden)]
#[macro_export]
#[cfg(target_family = "wasm")]
macro_rules! __export_setup {
    ($plugin:ty, $trait:path) => {
        ::std::thread_local! {
            static PLUGIN: $crate::component::Slot<$plugin> = const { $crate::component::Slot::new(::core::option::Option::None) };
        }

        struct Component;

        impl $crate::bindings::Setup for Component {
            fn init(config: ::std::string::String) -> $crate::Result<(), ::std::string::String> {
                $crate::component::init(&PLUGIN, &config, <$plugin as $trait>::new)
            }
        }

        $crate::bindings::setup::export_setup!(Component with_types_in $crate::bindings::setup);
    };
}
