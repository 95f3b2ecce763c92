# SPDX-License-Identifier: MIT
"""Scripts that find their interpreter and its standard library by themselves: PHP, Ruby, Perl, Java."""
import os
import shutil
import subprocess

import pytest

SCRIPTS = {
    "x.php": r"""<?php
echo json_encode(["sum" => array_sum(range(1, 100)), "md5" => md5("stout")]), " $argv[1]\n";
echo preg_replace('/(\w+) (\w+)/', '$2 $1', "hello world"), " ", date("Y-m-d", 86400), "\n";
file_put_contents("/tmp/recipe", str_repeat("line\n", 1000));
echo count(file("/tmp/recipe")), "\n";
exit(3);
""",
    "x.rb": r"""require "json"
require "set"
require "digest"
puts JSON.generate("sum" => (1..100).sum, "sha" => Digest::SHA256.hexdigest("stout")), ARGV[0]
threads = 4.times.map { |i| Thread.new { (1..1000).reduce(:+) * i } }
puts threads.map(&:value).inspect, Set.new([1, 1, 2]).size
File.write("/tmp/recipe", "line\n" * 1000)
puts File.readlines("/tmp/recipe").size
exit 3
""",
    "x.pl": r"""use strict; use warnings;
use List::Util qw(sum); use POSIX qw(floor strftime); use Digest::MD5 qw(md5_hex); use JSON::PP; use File::Temp qw(tempfile);
print JSON::PP->new->canonical->encode({ sum => sum(1..100), md5 => md5_hex("stout"), floor => floor(2.5) }), " $ARGV[0]\n";
print strftime("%Y-%m-%d", gmtime(86400)), " ", join(",", sort { $b <=> $a } map { $_ * $_ } 1..5), "\n";
my ($fh, $name) = tempfile();
print $fh "line\n" x 1000; close $fh;
open $fh, "<", $name or die; my @lines = <$fh>; print scalar(@lines), "\n";
my $pid = fork(); if (!$pid) { exit 7 }
waitpid($pid, 0); print $? >> 8, "\n";
exit 3;
""",
}
JAVA = r"""import java.nio.file.*;
import java.security.MessageDigest;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;

public class Main {
    public static void main(String[] args) throws Exception {
        System.out.println(IntStream.rangeClosed(1, 100).sum() + " " + String.join(",", args));
        System.out.println(HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest("stout".getBytes())));
        ExecutorService pool = Executors.newFixedThreadPool(4);
        List<Future<Integer>> parts = new ArrayList<>();
        for (int i = 2; i < 10; i++) {
            int n = i;
            parts.add(pool.submit(() -> IntStream.range(0, 1000).map(x -> x % n).sum()));
        }
        for (Future<Integer> part : parts)
            System.out.print(part.get() + " ");
        pool.shutdown();
        Path file = Files.createTempFile("x", ".txt");
        Files.write(file, Collections.nCopies(1000, "line"));
        System.out.println(Files.readAllLines(file).size());
        System.exit(3);
    }
}
"""


def compare(run, command, script, arguments, timeout):
    """On this host by the interpreter's command, in a machine by the script alone."""
    linux = subprocess.run([*command, script, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert linux.returncode == 3, linux.stderr
    stout = run(script, *arguments, timeout=timeout)
    assert (stout.returncode, stout.stdout) == (3, linux.stdout), stout.stderr
    assert "Warning" not in stout.stderr, stout.stderr


@pytest.mark.parametrize("name, interpreter", [("x.php", "php"), ("x.rb", "ruby"), ("x.pl", "perl")])
def test_script(run, tmp_path, name, interpreter):
    (tmp_path / name).write_text(SCRIPTS[name])
    compare(run, [interpreter], str(tmp_path / name), ["argument"], 60)


def test_jar(run, tmp_path):
    if not shutil.which("javac"):
        pytest.skip("no javac here")
    (tmp_path / "Main.java").write_text(JAVA)
    (tmp_path / "manifest").write_text("Main-Class: Main\n")
    subprocess.run(["javac", "Main.java"], cwd=tmp_path, check=True)
    classes = [name for name in os.listdir(tmp_path) if name.endswith(".class")]
    subprocess.run(["jar", "cfm", "x.jar", "manifest", *classes], cwd=tmp_path, check=True)
    compare(run, ["java", "-jar"], str(tmp_path / "x.jar"), ["a", "b"], 240)
