/* Store and forward, for spin: what is promised of one channel, under every interleaving of lost, repeated
 * and overtaking messages, crashes that drop what was not synced, a relay that loses its disk, and time
 * that runs out. Two messages, 0 and then 1, from one sender to one recipient.
 *
 *      sender --sub--> A --fwd--> B --del--> recipient        answers: cust, fack
 *         |                       ^  <--rcp--                 evidence: B --evA--> A --evS--> sender,
 *         +---------sub-----------+                                     or B --evS--> sender
 *
 * The network is a set: what is in it arrives in any order, is lost (LOSSES times), or stays for a second
 * arrival (REPEATS times). A station has what it believes (v...) and what is on its disk (d...): a sync
 * copies one to the other, a crash (CRASHES times) the other way; WIPES is how often a relay loses its
 * disk. A step without effect is not taken, so every run that does not go in circles ends, and each end
 * must be a good one: so "delivered in the end" is checked without fairness.
 *
 *      here                                   in the code
 *      seal, sync, submit; overdue            node/core/outbox.ts, node/core/dispatcher.ts
 *      a relay takes, syncs, answers          relay/core/submits.ts, forwards.ts, committer.ts
 *      HELD, HANDED, DONE                     relay/core/mail.ts, delivery.ts
 *      a receipt settles; evidence            relay/core/receipt-desk.ts
 *      the recipient takes, holds, gives up   node/core/inbox.ts, channel.ts, inbox-writer.ts
 *      it repeats its receipt                 node/core/receipt-book.ts
 *      time ends a message                    relay/core/expiry.ts, Outbox.expire
 *
 * Each BUG_... breaks one rule, and spin must find what that breaks: test/chaos/model.ts.
 */

#ifndef MESSAGES
#define MESSAGES 2
#endif
#ifndef RELAYS
#define RELAYS 2
#endif
#ifndef CRASHES
#define CRASHES 2
#endif
#ifndef LOSSES
#define LOSSES 1
#endif
#ifndef REPEATS
#define REPEATS 1
#endif
#ifndef WIPES
#define WIPES 0
#endif

#define A 0
#define B 1
#define at(x, m) (2 * (x) + (m))

/* What a relay has of a message. */
#define NONE 0
#define HELD 1
#define HANDED 2 /* The next relay has it too. */
#define DONE 3   /* It saw the recipient's receipt. */

/* The sender's word to its officer. */
#define QUEUED 0
#define CUSTODY 1
#define DELIVERED 2

/* Evidence that waits at a relay. */
#define FOR_A 1
#define FOR_SENDER 2

byte crashes = CRASHES, losses = LOSSES, repeats = REPEATS, wipes = WIPES;
bit expired[2];

/* In the network. */
bit sub[4], cust[4], fwd[2], fack[2], del[2], rcp[2], evA[2], evS[4], ask, tomb;

/* The sender. The outbox keeps a message from its sealing on; num is its number in the channel. */
byte num[2], told[2];
bit written[2], vkept[2], dkept[2], custodian[4];

/* The relays. via: it came from A. got, due, dueF: a receipt, a submit, a forward that is not answered yet. */
byte vhas[4], dhas[4], vowe[4], dowe[4];
bit vvia[2], dvia[2], got[2], due[4], dueF[2];
bit promised[4]; /* History: this disk has given custody. */

/* The recipient. last: the highest settled number. gap: number 1 was given up. */
byte vlast, dlast;
bit vknown[2], dknown[2], vheld, dheld, vgap, dgap, vmark, dmark, vtomb, dtomb;
bit logged[2]; /* A relay has logged its receipt. */
bit answered[2]; /* B's link has brought it, and got its answer: it goes again over a new link. */
byte seen[2];  /* History: how often the officer saw it. */

/* ---- What must always hold */

/* A relay that gave custody keeps the message until the recipient has it, or its time is over. */
#define kept(x, m) (!promised[at(x, m)] || dhas[at(x, m)] == HELD || dhas[at(x, m)] == HANDED || \
                    dknown[m] || expired[m])

inline check() {
  assert(kept(A, 0) && kept(A, 1) && kept(B, 0) && kept(B, 1));
  assert(seen[0] <= 1 && seen[1] <= 1);
  /* "Delivered" is said of what the recipient has on disk and its officer has seen. */
  assert((told[0] != DELIVERED || (dknown[0] && seen[0])) && (told[1] != DELIVERED || (dknown[1] && seen[1])))
}

#define isGone(m) (written[m] && !vkept[m])

inline present(m) {
  printf("officer sees %d\n", m);
  seen[m]++;
  /* The second after the first, or with a mark, or when the first was settled by its sender. */
  assert(!(m == 1 && num[1] == 2) || seen[0] || vmark || vtomb);
  /* What its sender has called gone is not shown. */
  assert(!(m == 0 && vtomb))
}

/* ---- The network */

inline arrive(bits) {
  if
  :: bits = 0
  :: repeats > 0 -> repeats--
  fi
}

#define LOSE(bits) :: d_step { losses && bits -> losses--; bits = 0; printf("lost: one of the network\n") }

active proctype network() {
end:
  do
  LOSE(sub[at(A, 0)]) LOSE(sub[at(A, 1)]) LOSE(sub[at(B, 0)]) LOSE(sub[at(B, 1)])
  LOSE(cust[at(A, 0)]) LOSE(cust[at(A, 1)]) LOSE(cust[at(B, 0)]) LOSE(cust[at(B, 1)])
  LOSE(fwd[0]) LOSE(fwd[1]) LOSE(fack[0]) LOSE(fack[1]) LOSE(del[0]) LOSE(del[1])
  :: d_step { losses && rcp[0] -> losses--; rcp[0] = 0; answered[0] = 0; printf("lost: receipt 0\n") }
  :: d_step { losses && rcp[1] -> losses--; rcp[1] = 0; answered[1] = 0; printf("lost: receipt 1\n") }
  LOSE(evA[0]) LOSE(evA[1]) LOSE(evS[at(A, 0)]) LOSE(evS[at(A, 1)]) LOSE(evS[at(B, 0)]) LOSE(evS[at(B, 1)])
  LOSE(ask) LOSE(tomb)
  od
}

/* The first message may run out of time. */
active proctype time() {
  if
  :: atomic { expired[0] = 1; printf("message 0 expires\n") }
  :: true
  fi
}

/* ---- The sender */

#ifdef BUG_SENT_BEFORE_SYNC
#define isSealed(m) vkept[m]
#else
#define isSealed(m) dkept[m]
#endif

#define isWanted(m) (isSealed(m) && !expired[m] && told[m] != DELIVERED)

/* In the dispatcher's eyes a relay without the message has not answered; one that lost its disk never will. */
#define hasCustody(x, m) (custodian[at(x, m)] && promised[at(x, m)])

#ifdef BUG_NOT_SUBMITTED_AGAIN
#define mayGo(x) (x == (RELAYS == 2 -> A : B))
#else
#define mayGo(x) (x == B || RELAYS == 2)
#endif

#define SUBMIT(x, m) :: d_step { isWanted(m) && mayGo(x) && !hasCustody(x, m) && !sub[at(x, m)] && !cust[at(x, m)] && \
    !due[at(x, m)] -> sub[at(x, m)] = 1; printf("sender submits %d to %c\n", m, 65 + x) }

#ifdef BUG_CUSTODY_IS_DELIVERY
#define afterCustody DELIVERED
#else
#define afterCustody CUSTODY
#endif

#define CUSTODIED(x, m) :: atomic { cust[at(x, m)] -> arrive(cust[at(x, m)]); printf("sender hears: %c has custody of %d\n", 65 + x, m); custodian[at(x, m)] = 1; \
    told[m] = (told[m] == QUEUED -> afterCustody : told[m]); check() }

#define EVIDENCE(x, m) :: atomic { evS[at(x, m)] -> arrive(evS[at(x, m)]); printf("sender hears: %d was delivered\n", m); told[m] = DELIVERED; \
    vowe[at(x, m)] = (vowe[at(x, m)] == FOR_SENDER -> 0 : vowe[at(x, m)]); \
    dowe[at(x, m)] = (dowe[at(x, m)] == FOR_SENDER -> 0 : dowe[at(x, m)]); check() }

#ifdef BUG_TOMBSTONE_FOR_THE_LIVING
#define isOver(m) 1
#else
#define isOver(m) expired[m]
#endif

active proctype sender() {
end:
  do
  :: d_step { !written[0] -> written[0] = 1; vkept[0] = 1; num[0] = 1; printf("sender seals 0\n") }
  :: d_step { MESSAGES == 2 && written[0] && !written[1] -> written[1] = 1; vkept[1] = 1; num[1] = (vkept[0] -> 2 : 1); printf("sender seals 1 as number %d\n", num[1]) }
  :: d_step { dkept[0] != vkept[0] || dkept[1] != vkept[1] -> dkept[0] = vkept[0]; dkept[1] = vkept[1];
       printf("sender syncs\n") }
  :: d_step { crashes && (dkept[0] != vkept[0] || dkept[1] != vkept[1]) ->
       crashes--; vkept[0] = dkept[0]; vkept[1] = dkept[1]; printf("sender crashes\n") }
  SUBMIT(A, 0) SUBMIT(A, 1) SUBMIT(B, 0) SUBMIT(B, 1)
  CUSTODIED(A, 0) CUSTODIED(A, 1) CUSTODIED(B, 0) CUSTODIED(B, 1)
  EVIDENCE(A, 0) EVIDENCE(A, 1) EVIDENCE(B, 0) EVIDENCE(B, 1)
  /* The recipient misses number 1: it goes again, by either relay, or is declared gone. */
  :: d_step { RELAYS == 2 && ask && !isOver(0) -> ask = 0; sub[at(A, 0)] = 1 }
  :: d_step { ask && !isOver(0) -> ask = 0; sub[at(B, 0)] = 1 }
  :: d_step { ask && isOver(0) -> ask = 0; tomb = 1; printf("sender says: 0 will not come\n") }
  od
}

/* ---- The relays */

#define isDirty(x) (vhas[at(x, 0)] != dhas[at(x, 0)] || vhas[at(x, 1)] != dhas[at(x, 1)] || \
                    vowe[at(x, 0)] != dowe[at(x, 0)] || vowe[at(x, 1)] != dowe[at(x, 1)] || \
                    due[at(x, 0)] || due[at(x, 1)])

#ifdef BUG_RELAY_ANSWERS_BEFORE_SYNC
#define answerNow(x, m, answer) answer = 1; promised[at(x, m)] = 1
#else
#define answerNow(x, m, answer) skip
#endif

/* Taken in if it is not here; what is here, or was, is answered all the same. */
#define TAKE(x, m) :: atomic { sub[at(x, m)] -> arrive(sub[at(x, m)]); printf("%c takes %d\n", 65 + x, m); \
    if \
    :: !expired[m] -> vhas[at(x, m)] = (vhas[at(x, m)] == HANDED -> HANDED : HELD); due[at(x, m)] = 1; \
       answerNow(x, m, cust[at(x, m)]) \
    :: else \
    fi; check() }

/* One sync of everything; then the answers. */
#define COMMIT(x, m) \
  if \
  :: due[at(x, m)] -> cust[at(x, m)] = 1; promised[at(x, m)] = 1; due[at(x, m)] = 0 \
  :: else \
  fi; \
  dhas[at(x, m)] = vhas[at(x, m)]; dowe[at(x, m)] = vowe[at(x, m)];

#define FORGET(x, m) vhas[at(x, m)] = dhas[at(x, m)]; vowe[at(x, m)] = dowe[at(x, m)]; due[at(x, m)] = 0;

#define END(x, m) :: d_step { expired[m] && (dhas[at(x, m)] == HELD || dhas[at(x, m)] == HANDED) && !isDirty(x) -> \
    vhas[at(x, m)] = DONE; dhas[at(x, m)] = DONE }

#define WIPED(x, m) vhas[at(x, m)] = NONE; dhas[at(x, m)] = NONE; vowe[at(x, m)] = 0; dowe[at(x, m)] = 0; \
  due[at(x, m)] = 0; promised[at(x, m)] = 0;

#define TELL(x, m) :: d_step { dowe[at(x, m)] == FOR_SENDER && vowe[at(x, m)] == FOR_SENDER && !evS[at(x, m)] -> \
    evS[at(x, m)] = 1 }

/* A: not a home of the recipient. */

#define FORWARD(m) :: d_step { dhas[at(A, m)] == HELD && vhas[at(A, m)] == HELD && !fwd[m] && !fack[m] && !dueF[m] && \
    !expired[m] -> fwd[m] = 1; printf("A forwards %d\n", m) }

#ifdef BUG_HANDOVER_FREES
#define afterHandover NONE
#else
#define afterHandover HANDED
#endif

#define HANDOVER(m) :: d_step { fack[m] -> fack[m] = 0; printf("A hears: B has custody of %d\n", m); \
    vhas[at(A, m)] = (vhas[at(A, m)] == HELD -> afterHandover : vhas[at(A, m)]) }

#ifdef BUG_EVIDENCE_BEFORE_SYNC
#define onDiskOfA(m)
#else
#define onDiskOfA(m) dhas[at(A, m)] = vhas[at(A, m)]; dowe[at(A, m)] = vowe[at(A, m)];
#endif

/* B lets evidence go when A has it on disk. The answer to a forward that nobody waits for goes nowhere. */
#define PASS(m) :: atomic { evA[m] -> arrive(evA[m]); printf("A takes the receipt of %d\n", m); fwd[m] = 0; fack[m] = 0; dueF[m] = 0; \
    vhas[at(A, m)] = (vhas[at(A, m)] == NONE -> NONE : DONE); vowe[at(A, m)] = FOR_SENDER; onDiskOfA(m) \
    vowe[at(B, m)] = (vowe[at(B, m)] == FOR_A -> 0 : vowe[at(B, m)]); \
    dowe[at(B, m)] = (dowe[at(B, m)] == FOR_A -> 0 : dowe[at(B, m)]) }

#define UNASKED(m) fwd[m] = 0; fack[m] = 0; dueF[m] = 0;

active proctype relayA() {
end:
  do
  TAKE(A, 0) TAKE(A, 1)
  FORWARD(0) FORWARD(1)
  HANDOVER(0) HANDOVER(1)
  PASS(0) PASS(1)
  :: atomic { isDirty(A) -> printf("A syncs and answers\n"); COMMIT(A, 0) COMMIT(A, 1) check() }
  :: atomic { crashes && isDirty(A) -> crashes--; printf("A crashes\n"); FORGET(A, 0) FORGET(A, 1) UNASKED(0) UNASKED(1) }
  END(A, 0)
  :: d_step { wipes -> wipes--; printf("A loses its disk\n"); WIPED(A, 0) WIPED(A, 1) UNASKED(0) UNASKED(1) }
  TELL(A, 0) TELL(A, 1)
  od
}

/* B: the recipient's home. */

#ifdef BUG_SECOND_WAY_FORGOTTEN
#define via(m) (vhas[at(B, m)] == HELD -> vvia[m] : 1)
#else
#define via(m) 1
#endif

#define TAKE_FORWARD(m) :: atomic { fwd[m] -> fwd[m] = 0; printf("B takes %d from A\n", m); \
    if \
    :: !expired[m] -> vvia[m] = via(m); vhas[at(B, m)] = HELD; dueF[m] = 1; answerNow(B, m, fack[m]) \
    :: else \
    fi; check() }

#define COMMIT_FORWARD(m) \
  if \
  :: dueF[m] -> fack[m] = 1; promised[at(B, m)] = 1; dueF[m] = 0 \
  :: else \
  fi; \
  dvia[m] = vvia[m];

#define isHeldThere(m) (vheld && m == 1)
#define DELIVER(m) :: d_step { dhas[at(B, m)] == HELD && vhas[at(B, m)] == HELD && !del[m] && !rcp[m] && \
    vknown[m] == dknown[m] && !isHeldThere(m) && !answered[m] && !expired[m] -> \
    del[m] = 1; printf("B delivers %d\n", m) }

#define SETTLE(m) :: atomic { rcp[m] -> arrive(rcp[m]); printf("B takes the receipt of %d\n", m); got[m] = 1; \
    vhas[at(B, m)] = (vhas[at(B, m)] == NONE -> NONE : DONE); vowe[at(B, m)] = (vvia[m] -> FOR_A : FOR_SENDER); \
    answered[m] = 0 }

#define LOG(m) logged[m] = logged[m] || got[m]; got[m] = 0;

#define TELL_A(m) :: d_step { dowe[at(B, m)] == FOR_A && vowe[at(B, m)] == FOR_A && !evA[m] -> evA[m] = 1 }

#define isDirtyB (isDirty(B) || got[0] || got[1] || dueF[0] || dueF[1])

active proctype relayB() {
end:
  do
  TAKE(B, 0) TAKE(B, 1)
  TAKE_FORWARD(0) TAKE_FORWARD(1)
  DELIVER(0) DELIVER(1)
  SETTLE(0) SETTLE(1)
  :: atomic { isDirtyB -> printf("B syncs and answers\n"); COMMIT_FORWARD(0) COMMIT_FORWARD(1) COMMIT(B, 0) COMMIT(B, 1) LOG(0) LOG(1) check() }
  :: atomic { crashes && isDirtyB -> crashes--; printf("B crashes\n"); FORGET(B, 0) FORGET(B, 1)
       vvia[0] = dvia[0]; vvia[1] = dvia[1]; dueF[0] = 0; dueF[1] = 0; got[0] = 0; got[1] = 0; answered[0] = 0; answered[1] = 0 }
  END(B, 0)
  :: d_step { wipes -> wipes--; printf("B loses its disk\n"); WIPED(B, 0) WIPED(B, 1)
       vvia[0] = 0; vvia[1] = 0; dvia[0] = 0; dvia[1] = 0; dueF[0] = 0; dueF[1] = 0; got[0] = 0; got[1] = 0 }
  TELL(B, 0) TELL(B, 1)
  TELL_A(0) TELL_A(1)
  od
}

/* ---- The recipient */

#ifdef BUG_RECIPIENT_ANSWERS_BEFORE_SYNC
#define receiptNow(m) rcp[m] = 1
#else
#define receiptNow(m) skip
#endif

#ifdef BUG_SHOWN_BEFORE_SYNC
#define showNow(m) present(m)
#define showLater(m) skip
#else
#define showNow(m) skip
#define showLater(m) present(m)
#endif

#ifdef BUG_NO_MEMORY
#define isKnown(m) 0
#else
#define isKnown(m) vknown[m]
#endif

#ifdef BUG_RECEIPT_NOT_REPEATED
#define receiptAgain(m) skip
#else
#define receiptAgain(m) rcp[m] = dknown[m]
#endif

#ifdef BUG_EXPIRED_TAKEN
#define isTooLate(m) 0
#else
#define isTooLate(m) expired[m]
#endif

#ifdef BUG_GAP_SKIPPED
#define isNext(m) (num[m] > vlast)
#else
#define isNext(m) (num[m] == vlast + 1)
#endif

/* The last branch is an honest sender that is accused of using a number twice. */
#define RECEIVE(m) :: atomic { del[m] -> arrive(del[m]); printf("recipient takes %d, number %d\n", m, num[m]); \
    if \
    :: isKnown(m) -> receiptAgain(m); answered[m] = 1 \
    :: !isKnown(m) && isTooLate(m) \
    :: !isKnown(m) && !isTooLate(m) && isNext(m) -> \
       vlast = num[m]; vknown[m] = 1; showNow(m); receiptNow(m); \
       if \
       :: vheld && vlast == 1 -> vlast = 2; vheld = 0; vknown[1] = 1; showNow(1); receiptNow(1) \
       :: else \
       fi \
    :: !isKnown(m) && !isTooLate(m) && !isNext(m) && num[m] > vlast -> vheld = 1 \
    :: !isKnown(m) && !isTooLate(m) && num[m] <= vlast && vgap && num[m] == 1 -> \
       vgap = 0; vknown[m] = 1; showNow(m); receiptNow(m) \
    :: !isKnown(m) && !isTooLate(m) && num[m] <= vlast && !(vgap && num[m] == 1) -> assert(false) \
    fi; check() }

#define isUnsynced (vlast != dlast || vknown[0] != dknown[0] || vknown[1] != dknown[1] || vheld != dheld || \
                    vgap != dgap || vmark != dmark || vtomb != dtomb)

/* Shown, and the receipt sent, with the commit that holds it. */
#define COUNT(m) \
  if \
  :: vknown[m] && !dknown[m] -> dknown[m] = 1; showLater(m); rcp[m] = 1 \
  :: else \
  fi;

/* A receipt goes until a relay has logged it. */
#define AGAIN(m) :: d_step { dknown[m] && !logged[m] && !rcp[m] && !got[m] -> rcp[m] = 1 }

active proctype recipient() {
end:
  do
  RECEIVE(0) RECEIVE(1)
  :: atomic { isUnsynced -> printf("recipient syncs and answers\n"); COUNT(0) COUNT(1) dlast = vlast; dheld = vheld; dgap = vgap; dmark = vmark; dtomb = vtomb; check() }
  :: atomic { crashes && isUnsynced -> crashes--; printf("recipient crashes\n"); answered[0] = 0; answered[1] = 0;
       vknown[0] = dknown[0]; vknown[1] = dknown[1]; vlast = dlast; vheld = dheld; vgap = dgap; vmark = dmark; vtomb = dtomb }
  AGAIN(0) AGAIN(1)
  :: d_step { dheld && vheld && vlast == 0 && !ask && !tomb && !sub[at(A, 0)] && !sub[at(B, 0)] ->
       ask = 1; printf("recipient asks for number 1\n") }
  /* The lane's deadline: what is held is shown with a mark, and its number stays open. */
  :: atomic { dheld && vheld && vlast == 0 -> printf("recipient gives number 1 up\n"); vheld = 0; vmark = 1; vgap = 1; vlast = 2; vknown[1] = 1; showNow(1) }
  /* The sender's signed word that number 1 will not come. */
  :: atomic { tomb -> arrive(tomb); printf("recipient hears: 0 will not come\n");
       if
       :: vheld && vlast == 0 -> vheld = 0; vtomb = 1; vlast = 2; vknown[1] = 1; showNow(1)
       :: vgap -> vgap = 0; vtomb = 1
       :: else
       fi }
  od
}

/* ---- What must hold when nothing moves any more */

#define isSettled(m) (!dkept[m] || expired[m] || (told[m] == DELIVERED && seen[m] == 1))
#define isFree(x, m) (dhas[at(x, m)] != HELD && dhas[at(x, m)] != HANDED)

active proctype end_of_all() {
  timeout -> assert(isSettled(0) && isSettled(1) && !vheld);
  /* Copies are let go, unless the relay that would have told of the receipt lost it: then time ends them. */
  assert(WIPES || (isFree(A, 0) && isFree(A, 1) && isFree(B, 0) && isFree(B, 1)))
#ifdef REACH
  ; assert(!(seen[0] && seen[1] && told[0] == DELIVERED && told[1] == DELIVERED && !vmark && !crashes))
#endif
}
