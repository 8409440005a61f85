"""The command line itself: commands, options, environment, help, completion."""
import os
import shutil
import subprocess

from harness import Case

COMMANDS = ("init backup list show ls find dump diff restore undo verify rebuild key log inspect hold release forget "
            "undelete version help completion").split()
LATER = "prune status drill guard rollback export import upgrade".split()


class Usage(Case):
    init_repo = False

    def test_no_command(self):
        r = self.snap(code=2)
        self.assertEqual(r.out, "")
        self.assertIn("snap help", r.err)

    def test_help_lists_every_command(self):
        for args in (["help"], ["--help"], ["-h"]):
            out = self.snap(*args).out
            for command in COMMANDS:
                self.assertRegex(out, rf"(?m)^  {command}  ")
            for command in LATER:
                self.assertNotRegex(out, rf"(?m)^  {command}  ")

    def test_help_of_every_command(self):
        for command in COMMANDS:
            out = self.snap("help", command).out
            self.assertIn(f"snap [global options] {command}", out)
            self.assertEqual(self.snap(command, "--help").out, out)
        self.assertIn("--read-data-subset", self.snap("help", "check").out)

    def test_help_of_an_unknown_command(self):
        self.fails(2, "usage", "help", "prune")

    def test_version(self):
        out = self.snap("version").out
        self.assertRegex(out, r"^snap \d+\.\d+\.\d+\n$")
        self.assertEqual(self.snap("--version").out, out)
        self.assertIn("version", self.query("version"))

    def test_unknown_command_and_suggestion(self):
        r = self.fails(2, "usage", "lsit")
        self.assertIn("list", r.last()["hint"])
        for command in LATER:
            self.fails(2, "usage", command)

    def test_unknown_option_and_suggestion(self):
        r = self.fails(2, "usage", "backup", "--tga", "x", "/tmp")
        self.assertIn("--tag", r.last()["hint"])
        self.assertIn("--tga", r.last()["message"])
        self.fails(2, "usage", "list", "-Z")
        self.fails(2, "usage", "--dry-run", "backup", "/tmp")

    def test_options_of_later_issues(self):
        self.fails(2, "usage", "verify", "--repair")
        self.fails(2, "usage", "list", "--expect-dimension=8")

    def test_dimensions(self):
        for text in ("0", "-1", "768d", "1000001", ""):
            self.fails(2, "usage", "inspect", "--expect-dimension", text, "/tmp")
            self.fails(2, "usage", "inspect", f"--dimension={text}", "/tmp")
        self.fails(2, "usage", "inspect", "--dimension", "8", "--dtype", "float8", "/tmp")
        self.fails(2, "usage", "inspect", "--dtype", "float32", "/tmp")

    def test_values(self):
        self.fails(2, "usage", "list", "--set")
        self.fails(2, "usage", "list", "--deleted=yes")
        self.fails(2, "usage", "list", "--kind", "good")
        self.fails(2, "usage", "list", "--last", "0")
        self.fails(2, "usage", "list", "--last", "5x")
        self.fails(2, "usage", "restore", "abcd", "--forensic", "maybe")
        self.fails(2, "usage", "--lock-wait", "5m", "list")
        self.fails(2, "usage", "--lock-wait", "10", "list")
        self.fails(2, "usage", "verify", "--max-duration", "1 fortnight")
        self.fails(2, "usage", "verify", "--max-duration", "0s")
        self.fails(2, "usage", "backup", "--exclude", "", "/tmp")
        for subset in ("0%", "101%", "3/2", "0/2", "x/2", "2/x", "five", "0"):
            self.fails(2, "usage", "verify", "--read-data-subset", subset)
        self.fails(2, "usage", "backup", "--time", "yesterday", "/tmp")

    def test_arguments(self):
        self.fails(2, "usage", "forget")
        self.fails(2, "usage", "show")
        self.fails(2, "usage", "diff", "abcd")
        self.fails(2, "usage", "hold", "name")
        self.fails(2, "usage", "list", "extra")
        self.fails(2, "usage", "restore")
        self.fails(2, "usage", "dump", "latest")
        self.fails(2, "usage", "completion", "tcsh")
        self.fails(2, "usage", "key", "rotate")
        self.fails(2, "usage", "key", "remove")
        self.fails(2, "usage", "key", "list", "--label", "x")

    def test_no_repository_is_named(self):
        r = self.fails(2, "usage", "list", env={"SNAP_REPOSITORY": None})
        self.assertIn("SNAP_REPOSITORY", r.last()["hint"])

    def test_nothing_to_back_up(self):
        self.snap("init")
        self.fails(2, "usage", "backup")

    def test_no_repository_there(self):
        self.fails(10, "no-repository", "list")
        os.mkdir(self.repo)
        self.fails(10, "no-repository", "list")
        self.fails(10, "no-repository", "backup", self.dir)

    def test_global_options_stand_anywhere(self):
        self.snap("init")
        env = {"SNAP_REPOSITORY": None}
        for args in (["-r", self.repo, "list"], ["list", "-r", self.repo], ["list", f"--repo={self.repo}"],
                     [f"-r{self.repo}", "list"], ["list", "--repo", self.repo], ["-qvr", self.repo, "list"]):
            self.snap(*args, env=env)

    def test_option_wins_over_environment(self):
        self.snap("init")
        self.snap("list", "--repo", self.repo, env={"SNAP_REPOSITORY": "/nowhere"})
        self.fails(10, "no-repository", "list", "--repo", "/nowhere")

    def test_environment_wins_over_configuration(self):
        self.snap("init")
        conf = self.config("[repository]\npath = /nowhere\nkey-file = /nowhere\n")
        self.snap("list", env={"SNAP_CONFIG": conf})
        self.fails(10, "no-repository", "list", env={"SNAP_CONFIG": conf, "SNAP_REPOSITORY": None})

    def test_json_from_environment(self):
        self.snap("init")
        self.assertEqual(self.snap("list", env={"SNAP_JSON": "1"}).doc(), [])
        self.assertEqual(self.snap("list", env={"SNAP_JSON": "0"}).out, "")
        for bad in ("yes", "true", "2"):
            r = self.snap("list", code=2, env={"SNAP_JSON": bad})
            self.assertIn("SNAP_JSON", r.err)

    def test_unknown_environment_is_ignored(self):
        self.snap("init", env={"SNAP_SOMETHING": "x", "SNAP_JSONX": "?"})

    def test_double_dash_ends_options(self):
        self.snap("init")
        self.write("--tag", b"x")
        s = self.summary("backup", "--", "--tag")
        self.assertEqual(s["items"][0]["source"], self.path("--tag"))

    def test_completion(self):
        for shell in ("bash", "zsh", "fish"):
            out = self.snap("completion", shell).out
            for command in COMMANDS:
                self.assertIn(command, out)
            self.assertIn("read-data-subset", out)
        script = self.snap("completion", "bash").out + """
            COMP_WORDS=(snap ver); COMP_CWORD=1; _snap; echo "${COMPREPLY[@]}"
            COMP_WORDS=(snap verify --read); COMP_CWORD=2; _snap; echo "${COMPREPLY[@]}"
            COMP_WORDS=(snap -r /x restore --forensic ''); COMP_CWORD=5; _snap; echo "${COMPREPLY[@]}"
            COMP_WORDS=(snap key pa); COMP_CWORD=2; _snap; echo "${COMPREPLY[@]}"
        """
        p = subprocess.run(["bash", "-u", "-c", script], capture_output=True, text=True)
        self.assertEqual(p.stdout.splitlines(), ["verify version", "--read-data --read-data-subset", "copy aside none",
                                                 "passwd"], p.stderr)

    def test_completion_scripts_parse(self):
        for shell in ("zsh", "fish"):
            if shutil.which(shell):
                script = self.write("script", self.snap("completion", shell).out)
                subprocess.run([shell, "-n", script], check=True)

    def test_closed_standard_output(self):
        self.snap("init")
        r = self.snap("list", "--json", code=15, stdout=open("/dev/full", "wb"))
        self.assertIn("standard output", r.err)

    def test_reader_that_goes_away(self):
        self.snap("init")
        r, w = os.pipe()
        os.close(r)
        with os.fdopen(w, "wb") as out:
            p = self.run_snap("help", stdout=out)
        self.assertEqual((p.code, p.err), (-13, ""), "ends as other programs do")

    def test_closed_descriptors(self):
        """A file must never be opened under the number of a standard stream."""
        data = self.write("data", b"d" * 5000)
        self.snap("init")
        subprocess.run(["sh", "-c", '"$0" backup "$1" <&- >&- 2>&-', self.snap_path(), data], env=self.env, timeout=60)
        self.snap("verify", "--read-data")

    @staticmethod
    def snap_path():
        import harness
        return harness.SNAP
