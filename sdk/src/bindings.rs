//! What the WIT package generates; components only.
//!
//! The worlds of the package share `setup`, and two worlds that export the same interface cannot both have public export macros
//! in one crate. So each interface has a world of its own here, and a plugin exports two of them.

/// What every plugin exports, and the types and imports of all.
pub mod setup {
    wit_bindgen::generate!({
        path: "wit/v0.1",
        inline: "
            package gristmill:sdk;
            world every-plugin {
                import gristmill:plugin/envelope@0.1.0;
                import gristmill:plugin/log@0.1.0;
                import gristmill:plugin/store@0.1.0;
                import gristmill:plugin/sql@0.1.0;
                import gristmill:plugin/types@0.1.0;
                export gristmill:plugin/setup@0.1.0;
            }
        ",
        pub_export_macro: true,
        export_macro_name: "export_setup",
        generate_unused_types: true,
        generate_all,
    });
}

pub use setup::gristmill::plugin::{envelope, log, sql, store, types};

/// What filters export beside.
pub mod filtering {
    wit_bindgen::generate!({
        path: "wit/v0.1",
        inline: "
            package gristmill:sdk;
            world filters {
                export gristmill:plugin/filtering@0.1.0;
            }
        ",
        pub_export_macro: true,
        export_macro_name: "export_filtering",
        with: { "gristmill:plugin/types@0.1.0": super::types },
        generate_all,
    });
}

/// What publishers export beside.
pub mod publishing {
    wit_bindgen::generate!({
        path: "wit/v0.1",
        inline: "
            package gristmill:sdk;
            world publishers {
                export gristmill:plugin/publishing@0.1.0;
            }
        ",
        pub_export_macro: true,
        export_macro_name: "export_publishing",
        with: { "gristmill:plugin/types@0.1.0": super::types },
        generate_all,
    });
}

/// What publishers of batches export beside.
pub mod batching {
    wit_bindgen::generate!({
        path: "wit/v0.1",
        inline: "
            package gristmill:sdk;
            world batch-publishers {
                export gristmill:plugin/batching@0.1.0;
            }
        ",
        pub_export_macro: true,
        export_macro_name: "export_batching",
        with: { "gristmill:plugin/types@0.1.0": super::types },
        generate_all,
    });
}

pub use batching::exports::gristmill::plugin::batching::Guest as Batching;
pub use filtering::exports::gristmill::plugin::filtering::Guest as Filtering;
pub use publishing::exports::gristmill::plugin::publishing::Guest as Publishing;
pub use setup::exports::gristmill::plugin::setup::Guest as Setup;
