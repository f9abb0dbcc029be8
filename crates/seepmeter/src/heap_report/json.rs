//! The same reports as JSON: docs/heap.schema.json.

use std::time::Duration;

use seepmeter_heap::{
    AccountItem, BlockSum, ClassHolders, LeakGroup, LeakShape, Leaks, MergedPath, OtherAllocator,
};
use serde_json::{Map, Value, json};

use super::{
    Answer, GrownClass, GrowthReport, Heap, HeapReport, LeakReport, Standstill, class_name,
};

/// The version of the schema.
const SCHEMA: &str = "seepmeter.heap/1";

/// A document of which these fields are known; all others are null.
fn document(target: &str, known: impl IntoIterator<Item = (&'static str, Value)>) -> String {
    let mut fields = Map::new();
    fields.insert("schema".to_owned(), SCHEMA.into());
    fields.insert("target".to_owned(), target.into());
    for field in [
        "snapshots",
        "between",
        "account",
        "classes",
        "growth",
        "leaks",
        "holders",
        "retained",
        "unknown",
        "not_read",
    ] {
        fields.insert(field.to_owned(), Value::Null);
    }
    fields.extend(known.into_iter().map(|(field, value)| (field.to_owned(), value)));
    format!("{}\n", Value::Object(fields))
}

fn snapshots(standstills: &[Standstill]) -> Value {
    let snapshot = |it: &Standstill| {
        json!({
            "stopped": it.copy.as_secs_f64(),
            "stopped_again": it.end.map(seconds),
            "copy_lived": it.age.as_secs_f64(),
        })
    };
    standstills.iter().map(snapshot).collect()
}

fn seconds(time: Duration) -> Value {
    time.as_secs_f64().into()
}

fn sum(sum: BlockSum) -> Value {
    json!({ "count": sum.count, "bytes": sum.bytes })
}

fn address(address: u64) -> Value {
    format!("{address:#x}").into()
}

fn names(others: &[OtherAllocator]) -> Value {
    others.iter().map(OtherAllocator::name).collect()
}

fn item(item: AccountItem) -> &'static str {
    match item {
        AccountItem::InUse => "in_use",
        AccountItem::Reachable => "reachable",
        AccountItem::PossiblyReachable => "possibly_reachable",
        AccountItem::Unreachable => "unreachable",
        AccountItem::Headers => "headers",
        AccountItem::Bins => "free_bins",
        AccountItem::Cached => "free_cached",
        AccountItem::Top => "free_top",
        AccountItem::Pools => "free_pools",
        AccountItem::Images => "images",
        AccountItem::Stacks => "stacks",
        AccountItem::Anonymous => "anonymous",
        _ => "other",
    }
}

fn leaks(leaks: &Leaks) -> Value {
    let group = |it: &LeakGroup| {
        json!({
            "shape": match it.shape { LeakShape::Block => "block", LeakShape::Cycle => "cycle" },
            "class": class_name(&it.name),
            "leaks": it.leaks,
            "first": sum(it.first),
            "blocks": sum(it.blocks),
            "example": address(it.example),
        })
    };
    json!({
        "blocks": sum(leaks.sum()),
        "groups": leaks.groups.iter().map(group).collect::<Value>(),
        "collectable": sum(leaks.collectable),
        "unconfirmed": sum(leaks.unconfirmed),
    })
}

fn holders(holders: &ClassHolders) -> Value {
    let path = |it: &MergedPath| {
        let steps = it.steps.iter().map(|step| {
            json!({
                "class": class_name(&step.name),
                "key": step.key,
                "repeated": step.repeated,
                "example": address(step.example),
            })
        });
        json!({ "count": it.count, "root": it.root, "steps": steps.collect::<Value>() })
    };
    json!({
        "held": holders.held,
        "unreachable": holders.unreachable,
        "paths": holders.paths.iter().map(path).collect::<Value>(),
    })
}

impl HeapReport {
    /// The report as JSON.
    pub(crate) fn json(&self) -> String {
        let account = self.account.as_ref().map(|(account, resident)| {
            let mut items: Map<String, Value> = AccountItem::ALL
                .into_iter()
                .map(|it| (item(it).to_owned(), account.bytes(it).into()))
                .collect();
            items.insert("left_out".to_owned(), resident.left_out.into());
            items.insert("shared".to_owned(), resident.shared.into());
            items.insert("files".to_owned(), resident.files.into());
            json!({
                "rss": resident.all,
                "items": items,
                "unexplained": resident.unexplained(account),
                "without_zeros": resident.without_zeros,
            })
        });
        let snapshots = self.standstill.map_or(Value::Null, |it| snapshots(&[it]));
        let heap = self.heap.as_ref();
        document(
            &self.name,
            [
                ("snapshots", snapshots),
                ("account", account.into()),
                ("classes", heap.map_or(Value::Null, Heap::json)),
                (
                    "unknown",
                    heap.map_or_else(|why| why.to_string().into(), |it| it.doubt.clone().into()),
                ),
                ("not_read", heap.map_or(Value::Null, |it| names(&it.others))),
            ],
        )
    }
}

impl Heap {
    fn json(&self) -> Value {
        let class = |it: &seepmeter_heap::BlockClass| {
            json!({
                "class": class_name(&it.name),
                "count": it.count,
                "bytes": it.bytes,
                "unreachable": it.unreachable.map(sum),
            })
        };
        self.classes.iter().map(class).collect()
    }
}

impl LeakReport {
    /// The report as JSON.
    pub(crate) fn json(&self) -> String {
        let known = [
            ("snapshots", snapshots(&self.standstills)),
            ("between", seconds(self.between)),
            ("leaks", leaks(&self.leaks)),
            ("not_read", names(&self.others)),
        ];
        document(&self.name, known)
    }
}

impl GrowthReport {
    /// The report as JSON.
    pub(crate) fn json(&self) -> String {
        let class = |it: &GrownClass| {
            json!({
                "class": class_name(&it.growth.name),
                "count": it.growth.count,
                "bytes": it.growth.bytes,
                "holders": it.holders.as_ref().map(holders),
            })
        };
        let known = [
            ("snapshots", snapshots(&self.standstills)),
            ("between", seconds(self.between)),
            ("growth", self.classes.iter().map(class).collect()),
            ("leaks", self.leaks.as_ref().map_or(Value::Null, leaks)),
            ("unknown", self.leaks.as_ref().err().cloned().into()),
            ("not_read", names(&self.others)),
        ];
        document(&self.name, known)
    }
}

impl Answer {
    /// The answer as JSON.
    pub(crate) fn json(&self, target: &str) -> String {
        match self {
            Self::Holders { class, holders: of } => {
                let mut value = holders(of);
                value["class"] = class.as_str().into();
                document(target, [("holders", value)])
            }
            Self::Retained { block, name, retained } => {
                let classes = retained.classes.iter().map(|(name, it)| {
                    json!({ "class": class_name(name), "count": it.count, "bytes": it.bytes })
                });
                let value = json!({
                    "address": address(block.address),
                    "class": class_name(name),
                    "blocks": sum(retained.sum),
                    "classes": classes.collect::<Value>(),
                });
                document(target, [("retained", value)])
            }
        }
    }
}
