# Compiles an expression for each line that it reads: MoarVM keeps what EVAL compiled.
use MONKEY-SEE-NO-EVAL;
my $sum = 0;
while $*IN.get -> $line {
    my $n = $line.words[1];
    $sum += EVAL "$n + 1";
}
