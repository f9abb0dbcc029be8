//! An instance on the plugin's side of the ABI.

use std::convert::Infallible;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

use seepmeter_abi as abi;

use super::{forget, panic_text};
use crate::c_abi::{EIO, bytes_to_c, code_of, read_grown, text_from_c};
use crate::{Error, Options, Plugin};

/// An instance: the plugin `P`, which becomes an `R` when its stream begins. A sink never does.
pub(super) struct Instance<P, R = Infallible> {
    pub(super) host: HostCalls,
    state: State<P, R>,
    /// After a panic nothing is known of the state.
    panicked: bool,
}

/// How far an instance has come.
enum State<P, R> {
    /// Its options are being collected.
    Collecting(Vec<(String, String)>),
    /// It is made of its options.
    Configured(P),
    /// Its stream has begun.
    Running(R),
    /// Its start has failed.
    Failed,
}

/// The host's calls, read once.
pub(super) struct HostCalls {
    pub(super) table: abi::InstanceHost,
}

impl HostCalls {
    /// Reports something to the user, at one of the ABI's levels.
    pub(super) fn report(&self, level: u32, text: &str) {
        if let Some(message) = self.table.message {
            let text = bytes_to_c(text.as_bytes());
            // SAFETY: the host's own call with its own context; the text lives through it.
            unsafe { message(self.table.context, level, text) };
        }
    }

    fn error(&self, text: &str) {
        self.report(abi::LEVEL_ERROR, text);
    }
}

/// The host has made a call before or after its time. Only a host that is wrong does.
fn out_of_order() -> Error {
    Error::failed("the host made this call out of order, which is a bug of the host")
}

impl<P: Plugin, R> Instance<P, R> {
    /// # Safety
    /// `host` is the host's table, and `instance` can be written.
    pub(super) unsafe extern "C" fn create(
        host: *const abi::InstanceHost,
        instance: *mut *mut c_void,
    ) -> i32 {
        // SAFETY: the caller's promise; a table begins with its size.
        let Ok(table) = (unsafe { read_grown(host) }) else { return -EIO };
        let (host, state) = (HostCalls { table }, State::Collecting(Vec::new()));
        let new = Box::new(Self { host, state, panicked: false });
        // SAFETY: the caller's promise.
        unsafe { instance.write(Box::into_raw(new).cast()) };
        0
    }

    /// # Safety
    /// `instance` comes from `create`, and the bytes can be read.
    pub(super) unsafe extern "C" fn configure(
        instance: *mut c_void,
        key: abi::Bytes,
        value: abi::Bytes,
    ) -> i32 {
        // SAFETY: the caller's promise.
        let (own, key, value) =
            unsafe { (Self::of(instance), text_from_c(key), text_from_c(value)) };
        own.guard(|own| {
            let State::Collecting(options) = &mut own.state else { return Err(out_of_order()) };
            let text = |text: Result<&str, _>| text.map(str::to_owned).map_err(Error::failed);
            options.push((text(key)?, text(value)?));
            Ok(0)
        })
    }

    /// # Safety
    /// `instance` comes from `create`.
    pub(super) unsafe extern "C" fn ready(instance: *mut c_void) -> i32 {
        // SAFETY: the caller's promise.
        unsafe { Self::of(instance) }.guard(|own| {
            let State::Collecting(options) = &own.state else { return Err(out_of_order()) };
            let options = P::Options::from_pairs(options).map_err(Error::failed)?;
            own.state = State::Configured(P::new(options)?);
            Ok(0)
        })
    }

    /// # Safety
    /// `instance` comes from `create`, and is not used again.
    pub(super) unsafe extern "C" fn destroy(instance: *mut c_void) {
        // SAFETY: `create` has boxed it, and the caller gives it back.
        let own = unsafe { Box::from_raw(instance.cast::<Self>()) };
        // Nobody can act on a panic here, and the user sees its message.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(own))) {
            forget(panic);
        }
    }

    /// # Safety
    /// `instance` comes from `create`, and nobody else uses it for as long as `'a` lasts.
    pub(super) unsafe fn of<'a>(instance: *mut c_void) -> &'a mut Self {
        // SAFETY: `create` has boxed it; the rest is the caller's promise.
        unsafe { &mut *instance.cast() }
    }

    /// Runs a call of the plugin's: its error is reported and becomes a code, and so does a panic.
    fn guard(&mut self, call: impl FnOnce(&mut Self) -> Result<i32, Error>) -> i32 {
        if self.panicked {
            self.host.error("it has panicked before");
            return -EIO;
        }
        match catch_unwind(AssertUnwindSafe(|| call(self))) {
            Ok(Ok(code)) => code,
            Ok(Err(error)) => {
                self.host.error(&error.to_string());
                code_of(&error)
            }
            Err(panic) => {
                self.panicked = true;
                self.host.error(&format!("panicked: {}", panic_text(panic.as_ref())));
                forget(panic);
                -EIO
            }
        }
    }

    /// Runs a call on the plugin as it is configured.
    pub(super) fn configured(
        &mut self,
        call: impl FnOnce(&mut P, &HostCalls) -> Result<(), Error>,
    ) -> i32 {
        self.guard(|own| match &mut own.state {
            State::Configured(plugin) => call(plugin, &own.host).map(|()| 0),
            _ => Err(out_of_order()),
        })
    }

    /// Turns the configured plugin into a running one.
    pub(super) fn begin(&mut self, start: impl FnOnce(P, &HostCalls) -> Result<R, Error>) -> i32 {
        self.guard(|own| match std::mem::replace(&mut own.state, State::Failed) {
            State::Configured(plugin) => {
                own.state = State::Running(start(plugin, &own.host)?);
                Ok(0)
            }
            other => {
                own.state = other;
                Err(out_of_order())
            }
        })
    }

    /// Runs a call on the running plugin.
    pub(super) fn running(
        &mut self,
        call: impl FnOnce(&mut R, &HostCalls) -> Result<i32, Error>,
    ) -> i32 {
        self.guard(|own| match &mut own.state {
            State::Running(running) => call(running, &own.host),
            _ => Err(out_of_order()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::c_void;
    use std::ptr;
    use std::sync::Mutex;

    use seepmeter_abi as abi;

    use crate::c_abi::{EIO, bytes_from_c, bytes_to_c, struct_size, with_metric};
    use crate::private::sink_table;
    use crate::record::{MetricKind, MetricSpec, Record, Unit};
    use crate::{Error, Plugin, Sink, options};

    options! {
        struct NoOptions {}
    }

    struct Fragile;

    impl Plugin for Fragile {
        const NAME: &'static str = "fragile";
        const ABOUT: &'static str = "panics when it is flushed";
        type Options = NoOptions;

        fn new(_: NoOptions) -> Result<Self, Error> {
            Ok(Self)
        }
    }

    impl Sink for Fragile {
        fn write(&mut self, _: &Record) -> Result<(), Error> {
            Ok(())
        }

        fn flush(&mut self) -> Result<(), Error> {
            panic!("it is fragile")
        }
    }

    type Messages = Mutex<Vec<String>>;

    unsafe extern "C" fn message(context: *mut c_void, _: u32, text: abi::Bytes) {
        // SAFETY: `with_instance` has put it there, and the text lives through the call.
        let (messages, text) = unsafe { (&*context.cast::<Messages>(), bytes_from_c(text)) };
        messages.lock().unwrap().push(String::from_utf8(text.unwrap().to_vec()).unwrap());
    }

    /// Hands `test` the table and an instance of it; gives what it has reported.
    fn with_instance(test: impl FnOnce(&abi::Plugin, *mut c_void)) -> Vec<String> {
        let messages = Messages::default();
        // SAFETY: numbers, pointers and optional calls may be zero.
        let mut host: abi::InstanceHost = unsafe { std::mem::zeroed() };
        host.struct_size = struct_size::<abi::InstanceHost>();
        host.context = ptr::from_ref(&messages).cast_mut().cast();
        host.message = Some(message);
        // SAFETY: the table lives until exit.
        let table = unsafe { &*sink_table::<Fragile>(ptr::null(), "1.0") };
        let mut instance = ptr::null_mut();
        // SAFETY: the table's own calls; the host's table lives through all of them.
        unsafe {
            assert_eq!(table.create.unwrap()(&raw const host, &raw mut instance), 0);
            test(table, instance);
            table.destroy.unwrap()(instance);
        }
        messages.into_inner().unwrap()
    }

    #[test]
    fn a_call_that_the_host_makes_out_of_order_is_an_error_and_harms_nothing() {
        let messages = with_instance(|table, instance| {
            let (ready, configure) = (table.ready.unwrap(), table.configure.unwrap());
            // SAFETY: the table's own calls with its own instance.
            unsafe {
                assert_eq!(table.stop.unwrap()(instance), -EIO);
                assert_eq!(ready(instance), 0);
                assert_eq!(ready(instance), -EIO);
                assert_eq!(configure(instance, bytes_to_c(b"a"), bytes_to_c(b"b")), -EIO);
                let json = bytes_to_c(br#"{"metrics":[],"gates":[]}"#);
                assert_eq!(table.conclude.unwrap()(instance, json), 0);
            }
        });
        assert_eq!(messages.len(), 3);
        assert!(messages.iter().all(|text| text.contains("out of order")), "{messages:?}");
    }

    #[test]
    fn a_metric_of_a_later_unit_is_passed_over_and_the_user_is_warned() {
        let metric = MetricSpec::new("gpu", Unit::Count, MetricKind::Gauge, "");
        let messages = with_instance(|table, instance| {
            // SAFETY: the table's own calls with its own instance; the record lives through them.
            with_metric(&metric, |c| unsafe {
                assert_eq!(table.ready.unwrap()(instance), 0);
                let write = table.write.unwrap();
                let known = abi::Metric { sampler: 0, ..*c };
                assert_eq!(write(instance, (&raw const known).cast()), 0);
                let later = abi::Metric { unit: 77, ..known };
                assert_eq!(write(instance, (&raw const later).cast()), 0);
            });
        });
        let [warning] = &messages[..] else { panic!("{messages:?}") };
        assert!(warning.contains("`gpu` has the unknown unit 77"), "{warning}");
    }

    #[test]
    fn after_a_panic_no_call_reaches_the_plugin() {
        let messages = with_instance(|table, instance| {
            // SAFETY: the table's own calls with its own instance.
            unsafe {
                assert_eq!(table.ready.unwrap()(instance), 0);
                assert_eq!(table.flush.unwrap()(instance), -EIO);
                assert_eq!(table.stop.unwrap()(instance), -EIO);
            }
        });
        assert_eq!(messages, ["panicked: it is fragile", "it has panicked before"]);
    }
}
