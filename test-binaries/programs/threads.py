import concurrent.futures as cf, os, queue, threading, time
print(threading.active_count(), threading.current_thread() is threading.main_thread())
counter, lock = 0, threading.Lock()
def add(n):
    global counter
    for _ in range(n):
        with lock:
            counter += 1
threads = [threading.Thread(target=add, args=(500,), name=f"adder-{i}") for i in range(20)]
for t in threads: t.start()
for t in threads: t.join()
print(counter)
with cf.ThreadPoolExecutor(max_workers=8) as pool:
    print(list(pool.map(lambda n: n * n, range(20))))
    done = {pool.submit(pow, 3, n): n for n in range(50)}
    print(sum(f.result() for f in cf.as_completed(done)) == (3 ** 50 - 1) // 2)
    print(type(pool.submit(lambda: 1 // 0).exception()).__name__)
q, results = queue.Queue(maxsize=5), queue.SimpleQueue()
def worker():
    while (item := q.get()) is not None:
        results.put(item * 2)
        q.task_done()
    q.task_done()
workers = [threading.Thread(target=worker) for _ in range(4)]
for w in workers: w.start()
for i in range(200): q.put(i)
for _ in workers: q.put(None)
q.join()
for w in workers: w.join()
print(sum(results.get() for _ in range(200)))
barrier, seen = threading.Barrier(5), []
def meet(i):
    barrier.wait(); seen.append(i)
ts = [threading.Thread(target=meet, args=(i,)) for i in range(5)]
[t.start() for t in ts]; [t.join() for t in ts]
print(sorted(seen))
event = threading.Event()
before = time.monotonic()
print(event.wait(0.05), time.monotonic() - before >= 0.05)
timer = threading.Timer(0.02, event.set); timer.start()
print(event.wait(5))
local = threading.local(); local.x = 1
got = []
t = threading.Thread(target=lambda: got.append(hasattr(local, "x"))); t.start(); t.join()
print(got, local.x)
def boom(): raise ValueError("in a thread")
threading.excepthook = lambda a: print("hook", a.exc_type.__name__, a.exc_value)
t = threading.Thread(target=boom); t.start(); t.join()
d = threading.Thread(target=time.sleep, args=(1000,), daemon=True); d.start()
r, w = os.pipe()
t = threading.Thread(target=lambda: os.write(w, b"from a thread")); t.start()
print(os.read(r, 100)); t.join()
print(threading.active_count(), threading.get_native_id() == os.getpid())
