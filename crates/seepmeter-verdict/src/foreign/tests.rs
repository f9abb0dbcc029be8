use super::*;
use crate::run_file::Doubt;

const SECOND: u64 = 1_000_000_000;

fn read(text: &str, options: &TableOptions) -> Result<Option<ForeignTable>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, text).unwrap();
    PeekedFile::open(&path).unwrap().table(options, &["rss".to_owned()])
}

fn columns(time: &str, value: &str) -> TableOptions {
    TableOptions {
        time: Some(time.to_owned()),
        value: Some(value.to_owned()),
        ..TableOptions::default()
    }
}

/// The same, whatever the values are.
fn bytes(time: &str, value: &str) -> TableOptions {
    TableOptions { unit: Some(ValueUnit::BYTES), ..columns(time, value) }
}

/// The points of the only series.
fn points(text: &str, options: &TableOptions) -> Vec<(u64, i64)> {
    let table = read(text, options).unwrap_or_else(|error| panic!("{text}: {}", chain(&error)));
    let table = table.unwrap_or_else(|| panic!("{text} is not known"));
    let [only] = &table.series[..] else { panic!("{text}: {:?}", table.series) };
    only.series.points().to_vec()
}

fn doubts(text: &str, options: &TableOptions) -> Vec<Doubt> {
    read(text, options).unwrap().unwrap().doubts
}

/// An error and what it comes from, as the command prints it.
fn chain(error: &dyn std::error::Error) -> String {
    let source = error.source().map_or(String::new(), |source| format!(": {}", chain(source)));
    format!("{error}{source}")
}

fn error(text: &str, options: &TableOptions) -> String {
    chain(&read(text, options).unwrap_err())
}

const NONE: TableOptions = TableOptions { time: None, value: None, unit: None, rows: Vec::new() };

#[test]
fn what_a_table_says_is_swapped_out_counts_in_and_a_table_without_it_is_as_it_was() {
    let wide = "elapsed_s,subject,kind,name,rss,swap\n1,0,process,x,5000000,\n2,0,process,x,5000000,100\n\
                3,0,process,x,4000000,2000000\n";
    let long = "elapsed_s,subject,kind,name,metric,unit,value\n1,0,process,x,rss,bytes,5000000\n\
                2,0,process,x,rss,bytes,5000000\n2,0,process,x,swap,bytes,100\n\
                3,0,process,x,rss,bytes,4000000\n3,0,process,x,swap,bytes,2000000\n";
    for text in [wide, long] {
        let table = read(text, &NONE).unwrap().unwrap();
        let [only] = &table.series[..] else { panic!("{:?}", table.series) };
        let expected = [(0, 5_000_000), (SECOND, 5_000_100), (2 * SECOND, 6_000_000)];
        assert_eq!((only.series.points(), only.plus_swap), (&expected[..], true), "{text}");
        assert_eq!((only.series.samples(), &*only.metric), (3, "rss"));
        assert_eq!(table.doubts.len(), 0, "{:?}", table.doubts);
    }
    let none = wide.replace("100", "0").replace("2000000", "0");
    assert!(!read(&none, &NONE).unwrap().unwrap().series[0].plus_swap);
}

#[test]
fn each_row_of_a_table_has_one_sum_with_swap_whatever_its_time_is_rounded_to() {
    // 20 ms and a little more from row to row, since 1970.
    let time = |row: u64| 1_700_000_000_000_131 + row * 20_017;
    let rows = (0..1000).map(|row| {
        let (t, out) = (time(row), row % 2 * 1_000_000);
        format!("{}.{:06},0,process,x,{},{out}\n", t / 1_000_000, t % 1_000_000, 5_000_000 - out)
    });
    // The first row has no swap yet.
    let text = "elapsed_s,subject,kind,name,rss,swap\n".to_owned()
        + "1699999999.5,0,process,x,5000000,\n"
        + &rows.collect::<String>();
    let table = read(&text, &NONE).unwrap().unwrap();
    let points = table.series[0].series.points();
    assert_eq!(points.len(), 1001);
    assert!(points.iter().all(|(_, value)| *value == 5_000_000), "{points:?}");
}

#[test]
fn tools_are_known_by_their_first_lines_and_so_are_their_units() {
    let second = |bytes: [i64; 2]| [(0, bytes[0]), (SECOND, bytes[1])];
    let mib = second([3 << 19, 5 << 19]);
    let kib = second([1500 << 10, 2500 << 10]);
    for (text, wanted) in [
        ("CMDLINE python x.py\nMEM 1.5 1700000000.5\nFUNC f 1 2\nMEM 2.5 1700000001.5\n", mib),
        ("\nCMDLINE\nMEM 1.5 1700000000.5\nMEM 2.5 1700000001.5\n", mib),
        (
            "# Elapsed time   CPU (%)     Real (MB)   Virtual (MB)\n 0.0 0.0 1.5 9.0\n 1.0 0.0 2.5 9.0\n",
            mib,
        ),
        (
            "Attaching to process 7\n# Elapsed time   CPU (%)     Real (MB)   Virtual (MB)  Read count\n 0.0 0.0 1.5 9.0 1\n 1.0 0.0 2.5 9.0 2\n",
            mib,
        ),
        (
            "elapsed_time,nproc,cpu,mem_real,mem_virtual\n0.0,1,0.0,1.5,9.0\n1.0,1,0.0,2.5,9.0\n",
            mib,
        ),
        (
            "Time\tnprocs\twtime\tpss\trss\tvmem\n1576523936\t2\t0\t1\t1500\t9\n1576523937\t2\t1\t1\t2500\t9\n",
            kib,
        ),
        (
            "Linux 6.18 (vm) \t11/26/26 \t_x86_64_\t(2 CPU)\n\n# Time        UID       PID  minflt/s  majflt/s     VSZ     RSS   %MEM  Command\n1795717823      0     11712     61.76      0.00   16864   1500   0.05  python3 x\n\n# Time        UID       PID  minflt/s  majflt/s     VSZ     RSS   %MEM  Command\n1795717824      0     11712     58.93      0.00   17156   2500   0.06  python3 x\n",
            kib,
        ),
        (
            "Linux 6.18 (vm) \t11/26/26 \t_x86_64_\t(2 CPU)\n\n11:59:59 PM   UID       PID  minflt/s  majflt/s     VSZ     RSS   %MEM  Command\n11:59:59 PM     0     11712     61.76      0.00   16864   1500   0.05  python3\n\n12:00:00 AM   UID       PID  minflt/s  majflt/s     VSZ     RSS   %MEM  Command\n12:00:00 AM     0     11712     58.93      0.00   17156   2500   0.06  python3\n\nAverage:      0     11712     58.93      0.00   17156   2500   0.06  python3\n",
            kib,
        ),
        (
            "{\"timestamp\":\"2026-11-26T18:31:44.5+00:00\",\"totals\":{\"rss\":1536000,\"vsz\":9}}\n{\"timestamp\":\"2026-11-26T18:31:45.5+00:00\",\"totals\":{\"rss\":2560000,\"vsz\":9}}\n",
            kib,
        ),
        ("ts,stat_pid,stat_comm,stat_rss\n1.5,7,a,375\n2.5,7,a,625\n", kib),
    ] {
        assert_eq!(points(text, &NONE), wanted, "{text}");
        assert_eq!(doubts(text, &NONE), [], "{text}");
    }
}

#[test]
fn the_memory_of_pidstat_is_told_from_its_other_tables() {
    let block = |time: &str, rss: u64| {
        format!(
            "\n{time}      UID       PID    %usr %system  %guest   %wait    %CPU   CPU  Command\n{time}        0         7    0.10    0.00    0.00    0.00    0.10     1  a\n\n{time}      UID       PID  minflt/s  majflt/s     VSZ     RSS   %MEM  Command\n{time}        0         7     61.76      0.00   16864   {rss}   0.05  a\n"
        )
    };
    let text = format!(
        "Linux 6.18 (vm)\t11/26/26\n{}{}",
        block("18:30:22", 1500),
        block("18:30:23", 2500)
    );
    assert_eq!(points(&text, &NONE), [(0, 1500 << 10), (SECOND, 2500 << 10)]);
}

#[test]
fn a_tools_own_columns_keep_their_units_if_the_user_names_them() {
    let prmon = "Time\twtime\tpss\trss\tvmem\n1\t0\t100\t1500\t9\n2\t1\t100\t2500\t9\n";
    assert_eq!(points(prmon, &columns("Time", "rss")), [(0, 1500 << 10), (SECOND, 2500 << 10)]);
    assert_eq!(points(prmon, &columns("wtime", "pss")), [(0, 100 << 10), (SECOND, 100 << 10)]);
    let mb = TableOptions { unit: Some(ValueUnit::BYTES), ..NONE };
    assert_eq!(points(prmon, &mb)[0], (0, 1500));
}

#[test]
fn each_child_of_mprof_is_a_series_of_its_own() {
    let text = "CMDLINE x\nMEM 9.0 100.0\nCHLD 0 1.0 100.0\nCHLD 1 2.0 100.0\nMEM 9.0 101.0\nCHLD 0 1.5 101.0\nCHLD 1 2.0 101.0\n";
    let table = read(text, &NONE).unwrap().unwrap();
    let names: Vec<_> = table.series.iter().filter_map(|one| one.process.as_deref()).collect();
    assert_eq!(names, ["child 0", "child 1", "main"]);
    assert_eq!(table.series[0].series.points(), [(0, 1 << 20), (SECOND, 3 << 19)]);
    let one = RowFilter { column: "process".to_owned(), value: "child 1".to_owned() };
    let one = TableOptions { rows: vec![one], ..NONE };
    assert_eq!(points(text, &one), [(0, 2 << 20), (SECOND, 2 << 20)]);
}

#[test]
fn tables_of_seepmeters_own_need_no_names() {
    let wide = "elapsed_s,subject,kind,name,rss,threads\n0.0,0,process,a,100,3\n0.0,1,process,b,7,\n0.0,2,mapping,[heap],50,\n1.0,0,process,a,200,4\n1.0,1,process,b,7,1\n";
    let long = "elapsed_s,subject,kind,name,metric,unit,value\n0.0,0,process,a,rss,bytes,100\n0.0,0,process,a,threads,count,3\n0.0,1,process,b,rss,bytes,7\n1.0,0,process,a,rss,bytes,200\n1.0,0,process,a,threads,count,4\n";
    for text in [wide, long] {
        let table = read(text, &NONE).unwrap().unwrap();
        assert_eq!((&table.doubts[..], table.series.len()), (&[][..], 2), "{text}");
        assert_eq!(table.series[0].process.as_deref(), Some("a (subject 0)"));
        assert_eq!(table.series[0].series.points(), [(0, 100), (SECOND, 200)]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, text).unwrap();
        let threads = ["rss".to_owned(), "threads".to_owned()];
        let table = PeekedFile::open(&path).unwrap().table(&NONE, &threads).unwrap().unwrap();
        let threads = table.series.iter().find(|one| one.metric == "threads").unwrap();
        assert_eq!(threads.unit, seepmeter_record::Unit::Count);
        assert_eq!(threads.series.points(), [(0, 3), (SECOND, 4)]);
    }
    let only = RowFilter { column: "kind".to_owned(), value: "mapping".to_owned() };
    let only = TableOptions { rows: vec![only], ..NONE };
    assert_eq!(points(wide, &only), [(0, 50)]);
    let file = |metric: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, wide).unwrap();
        PeekedFile::open(&path).unwrap().table(&NONE, &[metric.to_owned()]).map(|_| ())
    };
    let wanted =
        "it has no metric `pss`, but rss, threads; leave out --metric for the first of these";
    assert_eq!(file("pss").unwrap_err().to_string(), wanted);
}

#[test]
fn rows_of_several_processes_are_series_of_their_own_or_refused() {
    let rows = |heading: &str| {
        let mut text = format!("t,{heading},rss\n");
        for i in 0..5 {
            text += &format!("{i},10,50000000\n{i},11,{}\n", 20_000_000 + i);
        }
        text
    };
    let table = read(&rows("pid"), &columns("t", "rss")).unwrap().unwrap();
    let names: Vec<_> = table.series.iter().map(|one| (one.process.as_deref(), one.pid)).collect();
    assert_eq!(names, [(Some("pid 10"), Some(10)), (Some("pid 11"), Some(11))]);
    let one = RowFilter { column: "pid".to_owned(), value: "11".to_owned() };
    let one = TableOptions { rows: vec![one], ..columns("t", "rss") };
    assert_eq!(points(&rows("pid"), &one)[4], (4 * SECOND, 20_000_004));
    let refused = error(&rows("worker"), &columns("t", "rss"));
    assert!(
        refused.contains("several rows of one time") && refused.contains("t, worker, rss"),
        "{refused}"
    );
    // Rows of one process after those of another.
    let mut sorted: Vec<String> = rows("worker").lines().skip(1).map(str::to_owned).collect();
    sorted.sort_by_key(|line| line.split(',').nth(1).map(str::to_owned));
    let sorted = format!("t,worker,rss\n{}\n", sorted.join("\n"));
    assert!(error(&sorted, &columns("t", "rss")).contains("several rows of one time"));
    let alone = rows("pid").replace(",10,", ",").replace(",11,", ",").replace("pid,", "");
    let doubt = Doubt::RepeatedTimes { rows: 5 };
    assert!(doubts(&alone, &columns("t", "rss")).contains(&doubt));
    let many: String = (0..99).map(|pid| format!("1,{pid},5000000\n")).collect();
    let many = error(&format!("t,pid,rss\n{many}"), &columns("t", "rss"));
    assert!(many.contains("more than 64 different values of `pid`"), "{many}");
}

#[test]
fn values_have_the_unit_of_their_heading_or_of_the_user_and_none_is_rounded_away() {
    let of = |heading: &str, values: [&str; 2]| {
        format!("t,{heading}\n0,{}\n60,{}\n", values[0], values[1])
    };
    let gb = of("mem_gb", ["1.510", "1.511"]);
    assert_eq!(
        points(&gb, &columns("t", "mem_gb")),
        [(0, 1_510_000_000), (60 * SECOND, 1_511_000_000)]
    );
    let [Doubt::HeadingUnit { column, .. }] = &doubts(&gb, &columns("t", "mem_gb"))[..] else {
        panic!("GB is GiB to many")
    };
    assert_eq!(column, "mem_gb");
    let gib = TableOptions { unit: Some("GiB".parse().unwrap()), ..columns("t", "mem_gb") };
    assert_eq!((points(&gb, &gib)[0].1, &doubts(&gb, &gib)[..]), (1_621_350_154, &[][..]));
    let kb = of("rss_kb", ["1500", "2500"]);
    assert_eq!(points(&kb, &columns("t", "rss_kb"))[0].1, 1500 << 10);
    // Nothing says what these are.
    let unknown = error(&of("mem", ["1.510", "1.511"]), &columns("t", "mem"));
    assert!(
        unknown.contains("no value of `mem` is above 1.51") && unknown.contains("--unit MiB"),
        "{unknown}"
    );
    let taken = of("mem", ["150000000", "151000000"]);
    let doubt = Doubt::TakenForBytes { column: "mem".to_owned() };
    assert_eq!(doubts(&taken, &columns("t", "mem")), [doubt]);
    assert_eq!(doubts(&taken, &bytes("t", "mem")), []);
    // A cell that has a unit needs no other.
    let sizes = of("mem", ["700.0MiB / 7.76GiB", "1.5GiB / 7.76GiB"]);
    assert_eq!(points(&sizes, &columns("t", "mem")), [(0, 700 << 20), (60 * SECOND, 3 << 29)]);
    assert_eq!(doubts(&sizes, &columns("t", "mem")), []);
    let count = TableOptions { unit: Some("count".parse().unwrap()), ..columns("t", "fds") };
    assert_eq!(points(&of("fds", ["17", "18"]), &count)[1].1, 18);
    assert!(error(&of("fds", ["17", "18.5"]), &count).contains("`18.5` is not a whole number"));
}

#[test]
fn exported_tables_are_read_as_spreadsheets_and_dashboards_write_them() {
    let wanted = [(0, 5), (SECOND, 6)];
    for (text, value) in [
        ("t;rss\n1;5\n2;6\n", "rss"),
        ("t\trss\n1\t5\n2\t6\n", "rss"),
        ("\u{feff}t,rss\n1,5\n2,6\n", "rss"),
        ("sep=,\nt,rss\n1,5\n2,6\n", "rss"),
        ("# t,rss\n1,5\n2,6\n", "rss"),
        ("t;rss;\r\n1;5;\r\n2;6;\r\n", "rss"),
        ("t;rss\n1;5;\n2;6;\n", "rss"),
        ("t;rss\n1,0;5,0\n2,0;6,0\n", "rss"),
        ("t rss\n1 5\n2 6\n", "rss"),
        ("t,rss\n1466074180000,5\n1466074181000,6\n", "rss"),
        ("t,rss\n2016-06-16T10:49:40Z,5\n2016-06-16T10:49:41Z,6\n", "rss"),
        ("t,\"{a=\"\"x\"\", job=\"\"web\"\"}\"\n1,5\n2,6\n", "{a=\"x\", job=\"web\"}"),
        ("t,rss\n1,5\nt,rss\n2,6\n", "rss"),
        ("{\"t\":1,\"rss\":5}\n{\"t\":2,\"rss\":6}\n", "rss"),
    ] {
        assert_eq!(points(text, &bytes("t", value)), wanted, "{text}");
        assert_eq!(doubts(text, &bytes("t", value)), [], "{text}");
    }
}

#[test]
fn blanks_are_gaps_and_are_counted() {
    let text = "t,rss,db\n1,5,1\n2,,1\n3,NaN,1\n4,null,1\n,5,1\n5,6,1\n";
    assert_eq!(points(text, &bytes("t", "rss")), [(0, 5), (4 * SECOND, 6)]);
    assert_eq!(doubts(text, &bytes("t", "rss")), [Doubt::Gaps { rows: 4 }]);
    assert_eq!(
        error("t,rss\n1,\n2,\n", &bytes("t", "rss")),
        "it has no line with a time and a value"
    );
}

#[test]
fn a_last_line_that_is_cut_is_left_out_wherever_it_is_cut() {
    for (whole, options) in [
        (
            "CMDLINE x\nMEM 30.5 1795691640.1\nMEM 30.5 1795691641.1\nMEM 31.7 1795691642.1000\n",
            NONE,
        ),
        (
            "t,rss\n1795691640,30000000\n1795691641,30000000\n1795691642.25,30000000\n",
            columns("t", "rss"),
        ),
        (
            "# Elapsed time   CPU (%)     Real (MB)   Virtual (MB)\n 0 1 30 90\n 1 1 30 90\n   2.250  1.0  30.700  90.000\n",
            NONE,
        ),
    ] {
        let last = whole.trim_end().rfind('\n').unwrap() + 1;
        let line = whole.lines().count() as u64;
        for end in last + 1..whole.len() {
            let points = points(&whole[..end], &options);
            assert_eq!((points.len(), points[1].0), (2, SECOND), "{}", &whole[..end]);
            assert!(doubts(&whole[..end], &options).contains(&Doubt::CutOff { line }));
        }
        assert_eq!(points(whole, &options).len(), 3);
    }
}

#[test]
fn a_table_whose_columns_are_not_named_names_them() {
    for text in ["t,rss bytes\n1,2\n", "\u{feff}t;rss bytes\r\n1;2\r\n"] {
        let error = error(text, &NONE);
        assert!(
            error.contains("mprof, psrecord, prmon, pidstat, Procpath, duct, seepmeter"),
            "{error}"
        );
        assert!(
            error.ends_with("--time COLUMN --value COLUMN; there are: t, rss bytes"),
            "{error}"
        );
    }
    assert!(
        error("1466074180,5\n1466074181,6\n", &NONE).contains("its first line has no headings")
    );
    assert!(error("SQLite format 3\0", &NONE).contains("sqlite3 -header -csv"));
    for text in [
        "{\"header\":{\"format\":1,\"x\":2}}\n",
        "no table at all\n",
        "",
        "\0\0,\0",
        "{\"he",
        "61.0MiB \n61.3MiB \n",
    ] {
        assert!(read(text, &NONE).unwrap().is_none(), "{text:?}");
    }
    let unit = TableOptions { unit: Some(ValueUnit::MIB), ..NONE };
    assert!(error("{\"header\":{\"format\":1}}\n", &unit).contains("it is no table"));
}

#[test]
fn text_of_windows_is_converted_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let bytes: Vec<u8> = "\u{feff}t,rss\n1,2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(&path, bytes).unwrap();
    let error = PeekedFile::open(&path).unwrap().table(&NONE, &[]).unwrap_err();
    assert!(chain(&error).contains("iconv -f UTF-16 -t UTF-8"), "{error}");
}

#[test]
fn a_broken_line_is_named_by_its_number() {
    let table = columns("t", "rss");
    for (text, options, wanted) in [
        ("MEM 1 2\nMEM x 3\n", &NONE, "line 2: `x` is not a number"),
        ("MEM 1 2\nMEM 1e300 3\n", &NONE, "line 2: the value 1"),
        ("CMDLINE x\nMEM 1.5\n", &NONE, "line 2: `MEM 1.5` lacks a number"),
        ("time,rss\n1,2\n", &table, "there is no column `t`; there are: time, rss"),
        ("", &table, "there is no column `t`"),
        ("t,rss\n1,2\n2,many\n", &table, "line 3: `many` is not a number"),
        ("t,rss\n1,2\nsoon,2\n", &table, "line 3: `soon` is not a time; a time is"),
        ("t,rss\n1,2\n2\n", &table, "line 3: it has 1 columns, and the first row has 2"),
        ("t,rss,rss\n1,2,3\n", &table, "there are several columns `rss`"),
        ("t,rss\n1,2\n2,3,4\n", &table, "line 3: it has 3 columns, and the first row has 2"),
    ] {
        let error = error(text, options);
        assert!(error.starts_with(wanted), "{error}");
    }
    let long = format!("t,rss\n1,\"{}\"\n", "x\n".repeat(1 << 20));
    assert!(error(&long, &table).starts_with("line 2: it is longer than 1024 KiB"));
    let wide = "a,".repeat(1 << 16);
    assert!(error(&wide, &table).starts_with("line 1: it is longer than 64 KiB"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(512))]
    #[test]
    fn no_text_makes_a_panic(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..60),
        named: bool,
    ) {
        let options = if named { columns("t", "rss") } else { NONE };
        let _ = read(&pieces.concat(), &options);
    }
}

/// What files of tables are made of.
const PIECES: &[&str] = &[
    "\n",
    "\n",
    "\n",
    ",",
    ",",
    ";",
    "\t",
    "  ",
    " ",
    "\"",
    "#",
    "t",
    "rss",
    "1",
    "2",
    "-",
    "NaN",
    "é",
    "\u{feff}",
    "t,rss\n",
    "MEM 1 2\n",
    "CHLD 0 1 2\n",
    "CMDLINE x\n",
    "{\"t\":1,\"rss\":2}\n",
    "{\"timestamp\":1,\"totals\":{\"rss\":1,\"vsz\":2}}\n",
    "# Elapsed time   CPU (%)     Real (MB)   Virtual (MB)\n",
    "12:00:01 AM  UID  PID  minflt/s  VSZ  RSS  Command\n",
    "12:00:02 AM  0  7  1.0  2  3  a b\n",
    "Average:  0 7\n",
    "elapsed_s,subject,kind,name,rss\n",
    "0.0,1,process,a,5\n",
    "elapsed_s,subject,kind,name,metric,unit,value\n",
    "0.0,1,process,a,rss,bytes,5\n",
    "1e300",
    "3 MiB / 4",
    "08:00:00",
];

#[test]
fn what_a_known_tool_measures_is_called_as_seepmeter_calls_it() {
    let known: Vec<&str> =
        seepmeter_record::conventions::metric::ALL.iter().map(|metric| metric.name).collect();
    for tool in tools::TOOLS {
        let tools::KnownValues::Listed(values) = tool.values else { continue };
        for value in values {
            assert!(known.contains(&value.metric), "{}: {}", tool.name, value.metric);
        }
    }
}
