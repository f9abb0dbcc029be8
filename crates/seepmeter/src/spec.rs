//! A sampler or a sink as the user names it: `NAME[,KEY=VALUE…]`.

use std::str::FromStr;

use seepmeter_plugin::OptionSpec;

/// A name and options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// All of it as it was typed, for messages.
    pub text: String,
    /// The name.
    pub name: String,
    /// The options in their order. A word that stands alone behind an option has no key: it may belong to
    /// a list before it, which [`Spec::join_lists`] finds out.
    pub options: Vec<(String, String)>,
    /// `NAME,help`: print what there is to say of it instead.
    pub help: bool,
}

impl Spec {
    /// One without options.
    #[must_use]
    pub fn plain(name: &str) -> Self {
        Self { text: name.to_owned(), name: name.to_owned(), options: Vec::new(), help: false }
    }

    /// Takes the value of an option out, so that whoever comes next does not see it.
    pub fn take(&mut self, key: &str) -> Option<String> {
        let at = self.options.iter().position(|(k, _)| k == key)?;
        Some(self.options.remove(at).1)
    }

    /// Hands words that stand alone to the list before them: `take=stacks,maps`. What is a list, the
    /// plugin's `options` say.
    ///
    /// # Errors
    /// A word behind an option that takes no list.
    pub fn join_lists(&mut self, options: &[OptionSpec]) -> Result<(), String> {
        let is_list =
            |key: &str| options.iter().any(|option| option.key == key && option.is_list());
        let mut joined: Vec<(String, String)> = Vec::with_capacity(self.options.len());
        for (key, value) in self.options.drain(..) {
            match joined.last_mut() {
                Some((list, values)) if key.is_empty() && is_list(list) => {
                    values.push(',');
                    values.push_str(&value);
                }
                _ if key.is_empty() => return Err(no_option(&value)),
                _ => joined.push((key, value)),
            }
        }
        self.options = joined;
        Ok(())
    }

    /// The values of a list before [`Spec::join_lists`]: what stands alone behind it is one too.
    pub fn values_of(&self, list: &str) -> Vec<&str> {
        let from = self.options.iter().position(|(key, _)| key == list);
        let Some(from) = from else { return Vec::new() };
        let (first, rest) = (&self.options[from], &self.options[from + 1..]);
        let others = rest.iter().take_while(|(key, _)| key.is_empty());
        std::iter::once(first).chain(others).map(|(_, value)| &**value).collect()
    }
}

fn no_option(piece: &str) -> String {
    format!(
        "`{piece}` is not KEY=VALUE (in a value, write a comma twice: `,,`; for two plugins, give the flag \
         twice)"
    )
}

impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut pieces = split(text);
        let help = pieces.len() > 1 && pieces.pop_if(|last| last == "help").is_some();
        let mut pieces = pieces.into_iter();
        let name = pieces.next().filter(|name| !name.is_empty()).ok_or("there is no name")?;
        let mut options = Vec::new();
        for piece in pieces {
            match piece.split_once('=') {
                Some((key, value)) if !key.is_empty() => {
                    // `max_pause` is another way to write `max-pause`.
                    options.push((key.replace('_', "-"), value.to_owned()));
                }
                None if !piece.is_empty() && !options.is_empty() => {
                    options.push((String::new(), piece));
                }
                _ => return Err(no_option(&piece)),
            }
        }
        Ok(Self { text: text.to_owned(), name, options, help })
    }
}

/// Splits at single commas; two in a row stand for one that belongs to its piece.
fn split(text: &str) -> Vec<String> {
    let (mut pieces, mut piece, mut rest) = (Vec::new(), String::new(), text);
    while let Some((before, after)) = rest.split_once(',') {
        piece.push_str(before);
        rest = after;
        match after.strip_prefix(',') {
            Some(after) => {
                piece.push(',');
                rest = after;
            }
            None => pieces.push(std::mem::take(&mut piece)),
        }
    }
    piece.push_str(rest);
    pieces.push(piece);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, Vec<(String, String)>) {
        let spec: Spec = text.parse().unwrap();
        (spec.name, spec.options)
    }

    #[test]
    fn a_name_and_options_are_told_apart() {
        assert_eq!(read("statm"), ("statm".into(), vec![]));
        assert_eq!(
            read("csv,path=a=b,layout="),
            ("csv".into(), vec![("path".into(), "a=b".into()), ("layout".into(), String::new())])
        );
    }

    #[test]
    fn a_comma_written_twice_belongs_to_the_value() {
        assert_eq!(
            read("exec,command=f(1,,2),x=y"),
            ("exec".into(), vec![("command".into(), "f(1,2)".into()), ("x".into(), "y".into())])
        );
    }

    #[test]
    fn help_is_asked_for_behind_a_comma() {
        let spec: Spec = "csv,help".parse().unwrap();
        assert!(spec.help && spec.options.is_empty());
        assert!(!"help".parse::<Spec>().unwrap().help);
    }

    #[test]
    fn words_behind_a_list_belong_to_it_and_behind_another_option_they_are_refused() {
        let option = |key: &str, kind: &str| OptionSpec {
            key: key.to_owned(),
            kind: kind.to_owned(),
            default: None,
            required: false,
            help: String::new(),
        };
        let options = [option("take", "stacks,maps"), option("path", "path")];
        let mut spec: Spec = "x,take=stacks,maps,path=y".parse().unwrap();
        spec.join_lists(&options).unwrap();
        assert_eq!(spec.options[0], ("take".into(), "stacks,maps".into()));
        assert_eq!(spec.options[1], ("path".into(), "y".into()));
        let mut spec: Spec = "x,path=y,maps".parse().unwrap();
        assert!(spec.join_lists(&options).unwrap_err().starts_with("`maps` is not KEY=VALUE"));
    }

    #[test]
    fn what_is_no_option_is_refused() {
        for bad in ["csv,path", "csv,=x", "csv,", ""] {
            assert!(bad.parse::<Spec>().is_err(), "{bad:?} was taken");
        }
    }
}
