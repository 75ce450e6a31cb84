//! The demo hospital: an app to protect ([`chart`]), certificates to serve it by, and the configuration
//! and personnel file of a hospital that doesn't exist.
//!
//! Nothing here is for production: the certificate authority is made on the spot and its key lies in a
//! folder. Row 5; it knows neither the proxy nor the portal. Only the `sekimori demo` command uses it.

pub mod certificates;
pub mod chart;
pub mod hospital;
