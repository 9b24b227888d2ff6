mod application_key;
mod flow;
mod redeem_code;
mod set_password;
mod uniform;
mod upstream_failures;
