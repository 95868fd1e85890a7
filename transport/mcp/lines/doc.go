// Package lines carries newline-delimited messages: a Reader that bounds their
// length, a Writer that never tears or mixes them, and a Pool that bounds how
// many are worked on.
//
// The one rule: whatever the other side sends, and however slowly it reads, the
// memory held for it is bounded, and every message goes out whole.
//
//	in, out, pool := lines.NewReader(os.Stdin, 4<<20), lines.NewWriter(os.Stdout), lines.NewPool(64)
//	for {
//		line, err := in.Next()
//		if err != nil {
//			break
//		}
//		pool.Do(len(line), func() { _ = out.Send(answer(line)) })
//	}
//	pool.Close()
//	pool.Wait()
//	err = out.Flush()
//
// Choice: bufio.Scanner was rejected, since one line over its limit ends it.
//
// Not here: what a line means (package envelope), and who may send it.
package lines
