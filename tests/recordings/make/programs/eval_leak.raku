# A template engine that compiles every template anew: MoarVM never frees what EVAL compiled.
use MONKEY-SEE-NO-EVAL;
my $n = 0;
my $sum = 0;
loop {
    $n++;
    my $code = 'my $x = ' ~ $n ~ '; my @a = (1..20).map(* * $x); @a.sum';
    $sum += EVAL $code;
    sleep 0.25;
}
