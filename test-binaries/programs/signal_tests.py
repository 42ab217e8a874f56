# Python's own test_signal. It runs most of its code in interpreters of their own; here it is run in this one instead, as it can be.
# Left out: what needs a second process for its pipes, or TCP.
import sys, textwrap, types, unittest
import test.test_signal as tests

LEFT_OUT = {
    "test_interprocess_signal": "starts a process",
    "test_keyboard_interrupt_exit_code": "starts a process",
    "test_siginterrupt_off": "starts a process",
    "test_siginterrupt_on": "starts a process",
    "test_without_siginterrupt": "starts a process",
    "test_pidfd_send_signal": "there is no pidfd_open yet",
    "test_invalid_socket": "uses TCP",
    "test_set_wakeup_fd_socket_result": "uses TCP",
    "test_pthread_kill_main_thread": "ends the interpreter",
    "test__thread_interrupt_main": "ends the interpreter",
}

def in_this_interpreter(*arguments, **_):
    module = types.ModuleType("__main__")
    exec(compile(textwrap.dedent(arguments[-1]), "<test>", "exec"), module.__dict__)

tests.assert_python_ok = in_this_interpreter
suite = unittest.TestSuite()
def keep(one):
    if isinstance(one, unittest.TestSuite):
        for other in one:
            keep(other)
    elif one.id().rsplit(".")[-1] not in LEFT_OUT:
        suite.addTest(one)
keep(unittest.defaultTestLoader.loadTestsFromModule(tests))
# The tests print what they measured.
sys.stdout, stdout = sys.stderr, sys.stdout
result = unittest.TextTestRunner(verbosity=2).run(suite)
skipped = sorted(test.id().rsplit(".")[-1] for test, _ in result.skipped)
print(result.testsRun, "tests:", "pass" if result.wasSuccessful() else "FAIL", "skipped:", *skipped, file=stdout)
sys.exit(not result.wasSuccessful())
