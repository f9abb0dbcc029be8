//! What every loaded instance has, sampler or sink.

use std::ffi::c_void;
use std::sync::Arc;

use seepmeter_plugin::c_abi::bytes_to_c;
use seepmeter_plugin::{Error, Info};

use super::Table;
use super::context::Context;
use crate::Notices;

/// An instance on the plugin's side. Dropping it destroys it.
pub(super) struct Instance {
    pub(super) context: &'static Context,
    pub(super) table: Arc<Table>,
    /// The plugin's own word for it.
    pub(super) handle: *mut c_void,
}

impl Instance {
    /// Makes an instance, sets its options and makes it ready, all on this thread.
    pub(super) fn make(
        info: &Info,
        table: &Arc<Table>,
        notices: &Notices,
        options: &[(String, String)],
    ) -> Result<Self, Error> {
        let (context, host) = Context::leak(&info.name, table.name, notices);
        let mut handle = std::ptr::null_mut();
        if let Some(create) = table.calls.create {
            // SAFETY: the plugin's own call; the host's table lives until exit.
            context.call("create", || unsafe { create(host, &raw mut handle) })?;
        }
        let instance = Self { context, table: Arc::clone(table), handle };
        for (place, (key, _)) in options.iter().enumerate() {
            if options[..place].iter().any(|(before, _)| before == key) {
                return Err(Error::failed(format!("option `{key}` is given twice; leave one out")));
            }
        }
        for (key, value) in options {
            let Some(configure) = table.calls.configure else {
                return Err(Error::failed(format!("no option `{key}`; there are none")));
            };
            // SAFETY: the plugin's own call with its own instance; both texts live through it.
            context.call("configure", || unsafe {
                configure(handle, bytes_to_c(key.as_bytes()), bytes_to_c(value.as_bytes()))
            })?;
        }
        if let Some(ready) = table.calls.ready {
            // SAFETY: the plugin's own call with its own instance.
            context.call("ready", || unsafe { ready(handle) })?;
        }
        Ok(instance)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(destroy) = self.table.calls.destroy {
            // SAFETY: the plugin's own call with its own instance, which is not used again.
            self.context.in_call("destroy", || unsafe { destroy(self.handle) });
        }
    }
}
