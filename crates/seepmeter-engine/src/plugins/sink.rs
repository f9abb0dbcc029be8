//! A sink behind the plugin ABI.

use std::ffi::c_void;
use std::sync::Arc;

use seepmeter_plugin::c_abi::{bytes_to_c, conclusion_to_json, with_record};
use seepmeter_plugin::{Error, Factory, Info, Sink};
use seepmeter_record::Record;
use seepmeter_verdict::Conclusion;

use super::Table;
use super::instance::Instance;
use crate::Notices;

/// Makes sinks of a loaded library.
pub(super) struct LoadedSinks {
    info: Info,
    table: Arc<Table>,
    notices: Notices,
}

impl LoadedSinks {
    pub(super) fn new(info: Info, table: Arc<Table>, notices: Notices) -> Self {
        Self { info, table, notices }
    }
}

impl Factory<dyn Sink> for LoadedSinks {
    fn info(&self) -> &Info {
        &self.info
    }

    fn make(&self, options: &[(String, String)]) -> Result<Box<dyn Sink>, Error> {
        let instance = Instance::make(&self.info, &self.table, &self.notices, options)?;
        Ok(Box::new(LoadedSink { instance }))
    }
}

struct LoadedSink {
    instance: Instance,
}

impl LoadedSink {
    fn call(
        &self,
        name: &'static str,
        call: Option<unsafe extern "C" fn(*mut c_void) -> i32>,
    ) -> Result<(), Error> {
        let Some(call) = call else { return Ok(()) };
        // SAFETY: the plugin's own call with its own instance.
        self.instance.context.call(name, || unsafe { call(self.instance.handle) }).map(drop)
    }
}

impl Sink for LoadedSink {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        let Instance { context, table, handle } = &self.instance;
        let Some(write) = table.calls.write else { return Ok(()) };
        // SAFETY: the plugin's own call with its own instance; the record lives through it.
        let call = |record| context.in_call("write", || unsafe { write(*handle, record) });
        context.result("write", with_record(record, call)).map(drop)
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.call("flush", self.instance.table.calls.flush)
    }

    fn conclude(&mut self, conclusion: &Conclusion) -> Result<(), Error> {
        let Instance { context, table, handle } = &self.instance;
        let Some(conclude) = table.calls.conclude else { return Ok(()) };
        let json = conclusion_to_json(conclusion).map_err(Error::failed)?;
        // SAFETY: the plugin's own call with its own instance; the text lives through it.
        let call = || unsafe { conclude(*handle, bytes_to_c(json.as_bytes())) };
        context.call("conclude", call).map(drop)
    }

    fn stop(&mut self) -> Result<(), Error> {
        // A sink without a stop completes its output by a flush.
        let calls = &self.instance.table.calls;
        match calls.stop {
            Some(stop) => self.call("stop", Some(stop)),
            None => self.flush(),
        }
    }
}
