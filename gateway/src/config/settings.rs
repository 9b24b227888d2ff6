//! The table of all settings, as people see them: in `--help`, in faults, in the README.

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its key in the TOML file and for `--set`.
    pub key: &'static str,
    /// Its environment variable.
    pub variable: &'static str,
    /// What a value looks like.
    pub expected: &'static str,
    /// Its default, as shown to people; most are read from here.
    pub default: &'static str,
    pub(super) secret: bool,
}

macro_rules! settings {
    ($($name:ident $key:literal $variable:literal $expected:literal $default:literal $($secret:ident)?;)*) => {
        $(pub(super) const $name: Setting = Setting {
            key: $key, variable: $variable, expected: $expected, default: $default,
            secret: settings!(@ $($secret)?),
        };)*
        /// All settings, in the order of the README.
        pub const SETTINGS: &[Setting] = &[$($name),*];
    };
    (@ secret) => { true };
    (@) => { false };
}

settings! {
    LISTEN "listen" "GATEWAY_LISTEN" "an address and port, such as `127.0.0.1:8080`" "127.0.0.1:8080";
    ADMIN_LISTEN "admin_listen" "GATEWAY_ADMIN_LISTEN" "an address and port, such as `127.0.0.1:9090`" "127.0.0.1:9090";
    PUBLIC_ORIGIN "public_origin" "GATEWAY_PUBLIC_ORIGIN"
        "an origin without a path, such as `https://reset.example.com`; https when `listen` is not loopback" "http://localhost:<port>";
    ALLOWED_ORIGINS "allowed_origins" "GATEWAY_ALLOWED_ORIGINS"
        "exact origins, separated by commas, such as `https://www.example.com`; never `*`" "none";
    TRUSTED_PROXIES "trusted_proxies" "GATEWAY_TRUSTED_PROXIES"
        "networks, separated by commas, such as `10.0.0.0/8, 127.0.0.1/32`; not the whole internet" "none";
    BASE_URL "upstream.base_url" "AUTOSHARES_BASE_URL"
        "where Autoshares is, such as `https://host/api`; https, or http to loopback" "required";
    APP_KEY_FILE "upstream.app_key_file" "AUTOSHARES_APP_KEY_FILE" "a file that holds the application key" "required, unless upstream.app_key is set";
    APP_KEY "upstream.app_key" "AUTOSHARES_APP_KEY" "the application key, 8 characters or more" "instead of the file" secret;
    API_VERSION "upstream.api_version" "AUTOSHARES_API_VERSION" "a version, such as `1.0`" "1.0";
    TIMEOUT "upstream.timeout" "AUTOSHARES_TIMEOUT" "a duration above zero, such as `10s` or `800ms`" "10s";
    STORE "store.url" "GATEWAY_STORE" "`memory`, `redis://host:port/0` or `rediss://host:port/0`" "memory";
    REPLICAS "store.replicas" "GATEWAY_STORE_REPLICAS" "how many gateways share the store, 1 to 1000" "3";
    BINDING "flow.binding" "GATEWAY_FLOW_BINDING" "`required`, `prefer` or `off`" "required";
    ANSWERS "flow.answers" "GATEWAY_FLOW_ANSWERS" "`uniform`, `faithful` or `decoy`" "uniform";
    DECOY_SHARE "flow.decoy_share" "GATEWAY_FLOW_DECOY_SHARE"
        "a share from `0` to `1`: as many of the unknown logins as of the known ones should have a question" "0.5";
    FLOOR "flow.floor" "GATEWAY_FLOW_FLOOR" "a duration up to `10s`, such as `500ms`; `0s` only for a benchmark" "500ms";
    KEYS_FILE "flow.keys_file" "GATEWAY_FLOW_KEYS_FILE"
        "a file made by `autoshares-gateway keygen`" "random at each start; required with Redis";
    FOREIGN_TOKENS "flow.foreign_tokens" "GATEWAY_FLOW_FOREIGN_TOKENS"
        "`true` or `false`: whether tokens that this gateway did not issue are passed on" "false";
    PASSWORD_LENGTH "password.min_length" "GATEWAY_PASSWORD_MIN_LENGTH" "a number of characters, 1 to 64" "8";
    PASSWORD_STRENGTH "password.min_strength" "GATEWAY_PASSWORD_MIN_STRENGTH"
        "`0` to `4`, in the measure of zxcvbn: 3 takes more than 10^8 guesses, 4 more than 10^10" "0";
    LIMITS_ENABLED "limits.enabled" "GATEWAY_LIMITS_ENABLED" "`true` or `false`" "true";
    RESETS_PER_LOGIN "limits.resets_per_login" "GATEWAY_LIMITS_RESETS_PER_LOGIN" "rates a `s`, `min`, `h` or `day`, each of these once, such as `3/h, 10/day`" "3/h, 10/day";
    RESETS_PER_ADDRESS "limits.resets_per_address" "GATEWAY_LIMITS_RESETS_PER_ADDRESS" "rates a `s`, `min`, `h` or `day`, each of these once, such as `10/h`" "10/h";
    LOGINS_PER_ADDRESS "limits.logins_per_address" "GATEWAY_LIMITS_LOGINS_PER_ADDRESS" "rates a `s`, `min`, `h` or `day`, each of these once, such as `10/h`" "10/h";
    RESETS "limits.resets" "GATEWAY_LIMITS_RESETS" "rates a `s`, `min`, `h` or `day`, each of these once, such as `600/h`" "600/h";
    ANSWERS_PER_LOGIN "limits.answers_per_login" "GATEWAY_LIMITS_ANSWERS_PER_LOGIN" "rates a `s`, `min`, `h` or `day`, each of these once, such as `3/h, 10/day`" "3/h, 10/day";
    CODES_PER_LOGIN "limits.codes_per_login" "GATEWAY_LIMITS_CODES_PER_LOGIN" "rates a `s`, `min`, `h` or `day`, each of these once, such as `15/h`" "15/h";
    CODES_PER_ADDRESS "limits.codes_per_address" "GATEWAY_LIMITS_CODES_PER_ADDRESS" "rates a `s`, `min`, `h` or `day`, each of these once, such as `15/h`" "15/h";
    CODES_PER_FLOW "limits.codes_per_flow" "GATEWAY_LIMITS_CODES_PER_FLOW" "a number, 1 to 100" "5";
    QUESTIONS_PER_FLOW "limits.questions_per_flow" "GATEWAY_LIMITS_QUESTIONS_PER_FLOW" "a number, 1 to 100" "10";
    UPDATES_PER_FLOW "limits.updates_per_flow" "GATEWAY_LIMITS_UPDATES_PER_FLOW" "a number, 1 to 100" "5";
    RISK_PER_HOUR "limits.risk_per_hour" "GATEWAY_LIMITS_RISK_PER_HOUR"
        "expected takeovers in any hour, `0.000001` to `1`, such as `0.0012`" "0.0012";
    LEGACY_RISK_PER_HOUR "limits.legacy_risk_per_hour" "GATEWAY_LIMITS_LEGACY_RISK_PER_HOUR"
        "expected takeovers in any hour through clients without a handle, `0.000001` to `1`" "0.0012";
    CODE_LIFETIME "limits.code_lifetime" "GATEWAY_LIMITS_CODE_LIFETIME"
        "how long Autoshares' codes are assumed to live, `1m` to `1day`" "30m";
    LOG_FORMAT "log.format" "GATEWAY_LOG_FORMAT" "`text` or `json`" "text on a terminal, else json";
    LOG_LEVEL "log.level" "GATEWAY_LOG_LEVEL" "`error`, `warn`, `info`, `debug` or `trace`" "info";
}
