(* Garbage collection, exceptions, closures, files and formatted output. *)
module Words = Map.Make (String)

let count words =
  List.fold_left
    (fun map word -> Words.update word (fun n -> Some (1 + Option.value n ~default:0)) map)
    Words.empty words

let rec fib n = if n < 2 then n else fib (n - 1) + fib (n - 2)

let () =
  let counts = count (String.split_on_char ' ' "the cat and the dog and the bird") in
  Words.iter (Printf.printf "%s %d\n") counts;
  Printf.printf "fib %d\n" (fib 24);
  let rec garbage n kept = if n = 0 then List.length kept else
    garbage (n - 1) (if n mod 1000 = 0 then Bytes.make 1000 'x' :: kept else kept) in
  Printf.printf "kept %d\n" (garbage 1_000_000 []);
  Gc.compact ();
  let name = Filename.temp_file "words" ".txt" in
  let out = open_out name in
  for i = 1 to 1000 do Printf.fprintf out "%d\n" i done;
  close_out out;
  let input = open_in name in
  let rec sum total = match input_line input with
    | line -> sum (total + int_of_string line)
    | exception End_of_file -> total in
  Printf.printf "sum %d\n" (sum 0);
  close_in input;
  Sys.remove name;
  (try ignore (open_in name) with Sys_error _ -> print_endline "removed");
  (try ignore (List.hd []) with Failure text -> Printf.printf "failure %s\n" text);
  let rec overflow n = 1 + overflow (n + 1) in
  (try ignore (overflow 0) with Stack_overflow -> print_endline "stack overflow caught");
  exit 6
