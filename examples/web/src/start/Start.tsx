import { KeyRound, Smartphone, UserPlus } from "lucide-react";
import { useState, type ReactNode } from "react";

import { Logo } from "../parts/Logo.tsx";
import { CreateAccount } from "./CreateAccount.tsx";
import { LinkThisDevice } from "./LinkThisDevice.tsx";
import { RecoverAccount } from "./RecoverAccount.tsx";
import { RecoveryCode } from "./RecoveryCode.tsx";

type Step = "choose" | "create" | "link" | "recover";

/** Three ways to begin. */
export function Start({ onDone }: { readonly onDone: () => void }) {
  const [step, setStep] = useState<Step>("choose");
  const [code, setCode] = useState<{ readonly words: string; readonly isReplaced: boolean } | null>(null);
  const back = () => setStep("choose");
  if (code) return <RecoveryCode {...code} onDone={onDone} />;
  switch (step) {
    case "create":
      return <CreateAccount onBack={back} onCode={(words) => setCode({ words, isReplaced: false })} />;
    case "recover":
      return <RecoverAccount onBack={back} onCode={(words) => setCode({ words, isReplaced: true })} />;
    case "link":
      return <LinkThisDevice onBack={back} onDone={onDone} />;
    case "choose":
      return <Choose onChoose={setStep} />;
  }
}

function Choose({ onChoose }: { readonly onChoose: (step: Step) => void }) {
  return (
    <main className="alone">
      <Logo />
      <h1>Rejoinder</h1>
      <p className="lead">
        Conversations that are the same on all of your devices, written even without a connection, and read by nobody in
        between.
      </p>
      <div className="choices">
        <Choice
          icon={<UserPlus aria-hidden />}
          title="Create an account"
          text="You are new here."
          onClick={() => onChoose("create")}
        />
        <Choice
          icon={<Smartphone aria-hidden />}
          title="Link this device"
          text="Another device of yours has your account."
          onClick={() => onChoose("link")}
        />
        <Choice
          icon={<KeyRound aria-hidden />}
          title="Recover your account"
          text="All your devices are lost, and you have the recovery code."
          onClick={() => onChoose("recover")}
        />
      </div>
    </main>
  );
}

interface ChoiceProps {
  readonly icon: ReactNode;
  readonly title: string;
  readonly text: string;
  readonly onClick: () => void;
}

function Choice({ icon, title, text, onClick }: ChoiceProps) {
  return (
    <button type="button" className="choice" onClick={onClick}>
      {icon}
      <span>
        <strong>{title}</strong>
        <span>{text}</span>
      </span>
    </button>
  );
}
