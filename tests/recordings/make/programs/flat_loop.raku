# A loop of arithmetic and of short-lived objects for each line that it reads.
class Point { has $.x; has $.y; method far { sqrt $!x * $!x + $!y * $!y } }
my $far = 0e0;
while $*IN.get -> $line {
    my $n = $line.words[1].Int;
    for ^2000 -> $i {
        $far += Point.new(x => $i, y => $n).far;
    }
}
