//! `seepmeter heap --why` and `--holds`: who holds a block, and what it holds.

use anyhow::{Context, Result, bail};
use seepmeter_heap::{
    Block, BlockClass, Census, ClassHolders, Limits, MergedPath, Paths, Retained,
};
use seepmeter_snapshot::MemoryImage;

use super::statics::RootNames;
use super::target::{Understood, whole};
use crate::flags::parse_address;
use crate::heap_report::{Answer, class_name};

/// What is asked of a heap.
pub(super) enum Question {
    /// Who holds this block, or blocks of this class.
    Why(String),
    /// What this block keeps alive.
    Holds(u64),
}

impl Question {
    /// The answer.
    ///
    /// # Errors
    /// If there is no such block or class, or it can't be said what is reachable.
    pub(super) fn answer(&self, image: &MemoryImage<'_>) -> Result<Understood<Answer>> {
        let census = match Census::take(image, &Limits::default()) {
            Ok(census) => census,
            Err(error) => return Ok(Err(error)),
        };
        let answer = match self {
            Self::Holds(address) => {
                let block = block(&census, *address)?;
                let retained = Retained::by(&block, &census, image).map_err(whole)?;
                let name = census.block_name(&block);
                Answer::Retained { block, name, retained }
            }
            Self::Why(of) => why(of, &census, image)?,
        };
        image.check().map_err(whole)?;
        Ok(Ok(answer))
    }
}

fn block(census: &Census, address: u64) -> Result<Block> {
    census.block_at(address).with_context(|| format!("there is no block in use at {address:#x}"))
}

fn why(of: &str, census: &Census, image: &MemoryImage<'_>) -> Result<Answer> {
    let paths = Paths::find(census, image).map_err(whole).context("who holds it is not known")?;
    let roots = RootNames::new(image);
    let name = |root: &_| roots.name(root);
    if of.starts_with("0x") {
        let block = block(census, parse_address(of).map_err(anyhow::Error::msg)?)?;
        let path = paths.to(&block);
        let holders = ClassHolders {
            held: u64::from(path.is_some()),
            unreachable: u64::from(path.is_none()),
            paths: MergedPath::of(path.into_iter().collect(), &name),
        };
        return Ok(Answer::Holders { class: class_name(&census.block_name(&block)), holders });
    }
    let classes = BlockClass::all(census, None);
    let Some(class) = classes.iter().find(|class| class_name(&class.name) == of) else {
        let ends = |class: &&BlockClass| class_name(&class.name).rsplit('.').next() == Some(of);
        let near: Vec<String> =
            classes.iter().filter(ends).take(3).map(|class| class_name(&class.name)).collect();
        match near.is_empty() {
            true => {
                bail!("there is no block of the class `{of}`; `seepmeter heap` shows the classes")
            }
            false => {
                bail!("there is no block of the class `{of}`; meant is perhaps {}", near.join(", "))
            }
        }
    };
    let holders = ClassHolders::of(census, &paths, &class.name, None, &name);
    Ok(Answer::Holders { class: of.to_owned(), holders })
}
