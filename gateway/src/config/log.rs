//! `log.*`: how the log is written.

use tracing::level_filters::LevelFilter;

use super::{reader::Reader, setting::settings};

/// How the log is written.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// One JSON object a line instead of text. Unless set, a terminal gets text, for a person reads there, and anything
    /// else gets JSON, for a program does.
    pub json: Option<bool>,
    /// No level shows a secret.
    pub level: LevelFilter,
}

settings! {
    FORMAT: "log.format", "GATEWAY_LOG_FORMAT",
        "`text` or `json`", "text on a terminal, else json",
        "a person reads the one, a program the other";
    LEVEL: "log.level", "GATEWAY_LOG_LEVEL",
        "`error`, `warn`, `info`, `debug` or `trace`", "info",
        "`error`, `warn`, `debug` or `trace`; no level shows a secret";
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Log> {
    let json = reader.parse(FORMAT, |text| match text {
        "text" => Ok(false),
        "json" => Ok(true),
        _ => Err(()),
    });
    let level = reader.value(LEVEL, |text| match text {
        "error" | "warn" | "info" | "debug" | "trace" => text.parse().map_err(|_| ()),
        _ => Err(()),
    });
    Some(Log { json, level: level? })
}
