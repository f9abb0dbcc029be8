//! The numbers that stand for words.

use seepmeter_record::{MetricKind, Unit};

use super::abi;

macro_rules! numbers {
    ($($type:ident: $to_c:ident, $from_c:ident { $($variant:ident = $number:ident,)+ })+) => {$(
        /// 0 for one that the ABI has no number for.
        pub(super) fn $to_c(word: $type) -> u32 {
            match word {
                $($type::$variant => abi::$number,)+
                _ => 0,
            }
        }

        /// None for one that this version does not know.
        pub(super) fn $from_c(number: u32) -> Option<$type> {
            match number {
                $(abi::$number => Some($type::$variant),)+
                _ => None,
            }
        }
    )+};
}

numbers! {
    Unit: unit_to_c, unit_from_c {
        Bytes = UNIT_BYTES,
        Count = UNIT_COUNT,
        Nanoseconds = UNIT_NANOSECONDS,
        Stack = UNIT_STACK,
    }
    MetricKind: metric_kind_to_c, metric_kind_from_c {
        Gauge = METRIC_GAUGE,
        Counter = METRIC_COUNTER,
        HighWater = METRIC_HIGH_WATER,
    }
}
