//! Records as a plugin or a host of another version hands them over: of any kind, any size, at any
//! address, with text that is none and arrays at null. What is read can be handed over again, and is the
//! same then.
#![no_main]

use std::any::Any;

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use seepmeter_plugin::c_abi::abi;
use seepmeter_plugin::c_abi::{HostRecord, read_record, with_record};

fuzz_target!(|data: &[u8]| {
    let mut plugin = Plugin { draws: Unstructured::new(data), owned: Vec::new() };
    let Ok(record) = plugin.record() else { return };
    // SAFETY: the record is as large as it says, and all that it points to is owned until the end.
    let read = unsafe { read_record(record) };
    if let Ok(HostRecord::Known(record)) = read {
        // SAFETY: our own record.
        let again = with_record(&record, |c| unsafe { read_record(c) });
        assert_eq!(again, Ok(HostRecord::Known(record)));
    }
});

/// Makes what a plugin could hand over, and owns it.
struct Plugin<'a> {
    draws: Unstructured<'a>,
    owned: Vec<Box<dyn Any>>,
}

impl Plugin<'_> {
    fn draw<T: for<'b> Arbitrary<'b>>(&mut self) -> Result<T> {
        self.draws.arbitrary()
    }

    fn keep<T: 'static>(&mut self, items: Vec<T>) -> *const T {
        let data = items.as_ptr();
        self.owned.push(Box::new(items));
        data
    }

    fn bytes(&mut self) -> Result<abi::Bytes> {
        let (data, length) = self.array(|plugin| plugin.draw::<u8>())?;
        Ok(abi::Bytes { data, length })
    }

    /// Text that is most often a word that means something.
    fn word(&mut self, words: &[&'static str]) -> Result<abi::Bytes> {
        if self.draws.ratio(1, 4)? {
            return self.bytes();
        }
        let word = *self.draws.choose(words)?;
        Ok(abi::Bytes { data: word.as_ptr(), length: word.len() as u64 })
    }

    /// A few items, or none at an address that there can't be.
    fn array<T: 'static>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<(*const T, u64)> {
        match self.draws.int_in_range(0..=20)? {
            0 => Ok((std::ptr::null(), 0)),
            1 => Ok((std::ptr::null(), self.draw()?)),
            // More than there can be, and so not to be read.
            2 => {
                let one = vec![item(self)?];
                Ok((self.keep(one), self.draws.int_in_range(abi::MAX_BYTES + 1..=u64::MAX)?))
            }
            count => {
                let items: Vec<T> = (3..count).map(|_| item(self)).collect::<Result<_>>()?;
                let count = items.len() as u64;
                Ok((self.keep(items), count))
            }
        }
    }

    /// The record in memory of its own, of more or less bytes than it has in this version.
    fn place<T: 'static>(&mut self, mut record: T) -> Result<*const abi::Record> {
        let (least, most) = (size_of::<abi::Record>(), size_of::<T>() + 64);
        let size = if self.draws.ratio(3, 4)? {
            size_of::<T>()
        } else {
            self.draws.int_in_range(least..=most)?
        };
        let at = self.draws.int_in_range(0..=8)?;
        let mut memory = vec![0u8; at + most];
        // SAFETY: every record begins with its size, and the memory is larger than the record.
        unsafe {
            (&raw mut record).cast::<u32>().write(size as u32);
            memory.as_mut_ptr().add(at).cast::<T>().write_unaligned(record);
        }
        memory.truncate(at + size);
        memory.shrink_to_fit();
        // SAFETY: it begins within the memory.
        Ok(unsafe { self.keep(memory).add(at) }.cast())
    }

    fn record(&mut self) -> Result<*const abi::Record> {
        match self.draws.int_in_range(0..=9)? {
            1 => self.header(),
            2 => self.metric(),
            3 => self.subject(),
            4 => self.image(),
            5 => self.frame(),
            6 => self.stack(),
            7 => self.sample(),
            8 => self.event(),
            9 => self.footer(),
            _ => {
                let record_kind = self.draw()?;
                let record_kind = if (1..=9).contains(&record_kind) { 99 } else { record_kind };
                self.place(abi::Record { struct_size: 0, record_kind })
            }
        }
    }

    fn header(&mut self) -> Result<*const abi::Record> {
        let (targets, target_count) = self.array(Self::target)?;
        let (samplers, sampler_count) = self.array(Self::sampler)?;
        let header = abi::Header {
            struct_size: 0,
            record_kind: abi::RECORD_HEADER,
            format: self.draw()?,
            reserved: 0,
            page_size: self.draw()?,
            seepmeter: self.word(&["0.1.0"])?,
            start: self.word(&["2026-01-01T00:00:00Z"])?,
            host: self.bytes()?,
            kernel: self.bytes()?,
            boot_id: self.word(&["x"])?,
            targets,
            target_count,
            target_size: size_of::<abi::TargetInfo>() as u64,
            samplers,
            sampler_count,
            sampler_size: size_of::<abi::SamplerInfo>() as u64,
        };
        self.place(header)
    }

    fn target(&mut self) -> Result<abi::TargetInfo> {
        let (command, command_count) = self.array(Self::bytes)?;
        Ok(abi::TargetInfo {
            subject: self.draw()?,
            origin: self.draws.int_in_range(0..=4)?,
            pid: self.draw()?,
            reserved: 0,
            cgroup: self.bytes()?,
            command,
            command_count,
        })
    }

    fn sampler(&mut self) -> Result<abi::SamplerInfo> {
        let (options, option_count) = self.array(|plugin| {
            Ok(abi::OptionPair { key: plugin.word(&["take"])?, value: plugin.word(&["maps"])? })
        })?;
        let (name, interval) = (self.word(&["statm"])?, self.draw()?);
        Ok(abi::SamplerInfo { name, interval, options, option_count })
    }

    fn metric(&mut self) -> Result<*const abi::Record> {
        let metric = abi::Metric {
            struct_size: 0,
            record_kind: abi::RECORD_METRIC,
            id: self.draw()?,
            sampler: self.draw::<u32>()? >> self.draws.int_in_range(0..=31)?,
            unit: self.draws.int_in_range(0..=5)?,
            kind: self.draws.int_in_range(0..=4)?,
            name: self.word(&["rss", "x"])?,
            subject_kind: self.word(&["process", "mapping"])?,
            help: self.word(&["what it is"])?,
        };
        self.place(metric)
    }

    fn subject(&mut self) -> Result<*const abi::Record> {
        let (attributes, attribute_count) = self.array(|plugin| {
            Ok(abi::Attribute {
                key: plugin.word(&["pid", "class"])?,
                text: plugin.bytes()?,
                number: plugin.draw()?,
                is_number: plugin.draws.int_in_range(0..=2)?,
            })
        })?;
        let subject = abi::Subject {
            struct_size: 0,
            record_kind: abi::RECORD_SUBJECT,
            id: self.draw()?,
            parent: self.draw()?,
            kind: self.word(&["process", "thread", "mapping"])?,
            name: self.bytes()?,
            attributes,
            attribute_count,
        };
        self.place(subject)
    }

    fn image(&mut self) -> Result<*const abi::Record> {
        let image = abi::Image {
            struct_size: 0,
            record_kind: abi::RECORD_IMAGE,
            id: self.draw()?,
            reserved: 0,
            path: self.bytes()?,
            build_id: self.word(&["00ff"])?,
        };
        self.place(image)
    }

    fn frame(&mut self) -> Result<*const abi::Record> {
        let (inlined, inlined_count) = self.array(|plugin| {
            let (function, file, line) = (plugin.bytes()?, plugin.bytes()?, plugin.draw()?);
            Ok(abi::InlinedCall { function, file, line, reserved: 0 })
        })?;
        let frame = abi::Frame {
            struct_size: 0,
            record_kind: abi::RECORD_FRAME,
            id: self.draw()?,
            image: self.draw()?,
            address: self.draw()?,
            function: self.bytes()?,
            file: self.bytes()?,
            line: self.draw()?,
            reserved: 0,
            inlined,
            inlined_count,
        };
        self.place(frame)
    }

    fn stack(&mut self) -> Result<*const abi::Record> {
        let (frames, frame_count) = self.array(|plugin| plugin.draw::<u32>())?;
        let stack = abi::Stack {
            struct_size: 0,
            record_kind: abi::RECORD_STACK,
            id: self.draw()?,
            reserved: 0,
            frames,
            frame_count,
            truncated: self.bytes()?,
        };
        self.place(stack)
    }

    fn sample(&mut self) -> Result<*const abi::Record> {
        let (points, point_count) = self.array(|plugin| {
            let (subject, metric, value) = (plugin.draw()?, plugin.draw()?, plugin.draw()?);
            Ok(abi::Point { subject, metric, value })
        })?;
        let sample = abi::Sample {
            struct_size: 0,
            record_kind: abi::RECORD_SAMPLE,
            t: self.draw()?,
            duration: self.draw()?,
            sampler: self.draw::<u32>()? >> self.draws.int_in_range(0..=31)?,
            partial: self.draw()?,
            points,
            point_count,
        };
        self.place(sample)
    }

    fn event(&mut self) -> Result<*const abi::Record> {
        let kinds = ["exec", "continued", "dropped", "forwarded", "keep_alive", "sink_failed"];
        let event = abi::Event {
            struct_size: 0,
            record_kind: abi::RECORD_EVENT,
            t: self.draw()?,
            kind: self.word(&kinds)?,
            subject: self.draw()?,
            sampler: self.draw::<u32>()? >> self.draws.int_in_range(0..=31)?,
            number: self.draw()?,
            has_number: self.draws.int_in_range(0..=1)?,
            text: self.bytes()?,
        };
        self.place(event)
    }

    fn footer(&mut self) -> Result<*const abi::Record> {
        let (ends, end_count) = self.array(|plugin| {
            let (subject, end) = (plugin.draw()?, plugin.draws.int_in_range(0..=6)?);
            Ok(abi::TargetEnd { subject, end, value: plugin.draw()?, reserved: 0 })
        })?;
        let (dropped, dropped_count) = self.array(|plugin| {
            Ok(abi::Dropped { sink: plugin.word(&["csv"])?, samples: plugin.draw()? })
        })?;
        let footer = abi::Footer {
            struct_size: 0,
            record_kind: abi::RECORD_FOOTER,
            t: self.draw()?,
            ends,
            end_count,
            samples: self.draw()?,
            late: self.draw()?,
            missed: self.draw()?,
            dropped,
            dropped_count,
            cpu: self.draw()?,
            peak_rss: self.draw()?,
            has_cpu: self.draws.int_in_range(0..=1)?,
            has_peak_rss: self.draws.int_in_range(0..=1)?,
        };
        self.place(footer)
    }
}
