# Counts words of texts that it makes up: all is garbage once a text is done.
my @letters = 'a'..'z';
my $most = 0;
loop {
    my @words = (^400).map: { @letters.pick(3).join };
    my %count;
    %count{$_}++ for @words;
    $most max= %count.values.max;
    sleep 0.1;
}
