# Compiles a template with a closure for each line that it reads. What EVAL compiled is freed here, but
# only by a full collection, and the first comes after some 500 templates and 200 MB.
use MONKEY-SEE-NO-EVAL;
my $sum = 0;
while $*IN.get -> $line {
    my $n = $line.words[1];
    $sum += EVAL 'my $x = ' ~ $n ~ '; my @a = (1..20).map(* * $x); @a.sum';
}
