(* System threads of OCaml: mutexes, conditions, events (synchronous channels), delays, signals, and garbage collection by many. *)
let rec fib n = if n < 2 then n else fib (n - 1) + fib (n - 2)

let counter () =
  let mutex = Mutex.create () and count = ref 0 in
  let add () =
    for _ = 1 to 500 do
      Mutex.lock mutex;
      let before = !count in
      if before mod 50 = 0 then Thread.yield ();
      count := before + 1;
      Mutex.unlock mutex
    done in
  List.iter Thread.join (List.init 20 (fun _ -> Thread.create add ()));
  !count

let queue () =
  let items = Queue.create () and mutex = Mutex.create () and changed = Condition.create () in
  let sum = ref 0 in
  let rec take () =
    Mutex.lock mutex;
    while Queue.is_empty items do Condition.wait changed mutex done;
    let item = Queue.pop items in
    if item >= 0 then sum := !sum + item;
    Mutex.unlock mutex;
    if item >= 0 then take () in
  let takers = List.init 4 (fun _ -> Thread.create take ()) in
  let put item =
    Mutex.lock mutex;
    Queue.push item items;
    Condition.signal changed;
    Mutex.unlock mutex in
  for i = 1 to 1000 do put i done;
  List.iter (fun _ -> put (-1)) takers;
  List.iter Thread.join takers;
  !sum

let events () =
  let left = Event.new_channel () and right = Event.new_channel () in
  let send channel from = Thread.create (fun () ->
    for i = from to from + 99 do Event.sync (Event.send channel i) done) () in
  let senders = [ send left 0; send right 1000 ] in
  let rec receive n sum =
    if n = 0 then sum
    else receive (n - 1) (sum + Event.select [ Event.receive left; Event.receive right ]) in
  let sum = receive 200 0 in
  List.iter Thread.join senders;
  sum

let () =
  Printf.printf "counter %d\n%!" (counter ());
  Printf.printf "queue %d\n%!" (queue ());
  Printf.printf "events %d\n%!" (events ());
  let results = Array.make 8 0 in
  let work i =
    let kept = ref [] in
    for n = 1 to 20_000 do if n mod 10 = 0 then kept := Bytes.make 100 'x' :: !kept done;
    results.(i) <- fib 20 + List.length !kept in
  List.iter Thread.join (List.init 8 (fun i -> Thread.create work i));
  Printf.printf "results %d\n%!" (Array.fold_left ( + ) 0 results);
  let before = Unix.gettimeofday () in
  let sleepers = List.init 50 (fun i -> Thread.create Thread.delay (float i /. 1000.)) in
  List.iter Thread.join sleepers;
  Printf.printf "slept %b\n%!" (Unix.gettimeofday () -. before >= 0.049);
  let input, output = Unix.pipe () in
  let reader = Thread.create (fun () ->
    let bytes = Bytes.create 10 in
    let count = Unix.read input bytes 0 10 in
    Printf.printf "read %S\n%!" (Bytes.sub_string bytes 0 count)) () in
  Thread.delay 0.01;
  ignore (Unix.write_substring output "a pipe" 0 6);
  Thread.join reader;
  let caught = ref false in
  Sys.set_signal Sys.sigusr1 (Sys.Signal_handle (fun _ -> caught := true));
  Unix.kill (Unix.getpid ()) Sys.sigusr1;
  while not !caught do Thread.yield () done;
  Printf.printf "caught %b\n%!" !caught;
  exit 6
